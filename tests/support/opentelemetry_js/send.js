// Sends one of everything with the OpenTelemetry SDK for JavaScript: send.js URL proto|json gzip|none RUN
// Prints the id of the trace it made. Exits 1 when an exporter reports an error.
const { diag, DiagLogLevel, SpanKind, SpanStatusCode, context, trace } = require('@opentelemetry/api');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { MeterProvider, PeriodicExportingMetricReader, AggregationType, AggregationTemporality } =
  require('@opentelemetry/sdk-metrics');
const { NodeTracerProvider, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-node');
const { LoggerProvider, SimpleLogRecordProcessor } = require('@opentelemetry/sdk-logs');

const [url, encoding, compression, run] = process.argv.slice(2);
const kind = encoding === 'proto' ? 'proto' : 'http';
const { OTLPMetricExporter } = require(`@opentelemetry/exporter-metrics-otlp-${kind}`);
const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${kind}`);
const { OTLPLogExporter } = require(`@opentelemetry/exporter-logs-otlp-${kind}`);

let failed = false;
diag.setLogger({ error: (...a) => { failed = true; console.error(...a); }, warn: (...a) => console.error('warn', ...a),
                 info() {}, debug() {}, verbose() {} }, DiagLogLevel.WARN);

const options = (path) => ({ url: url + path, compression });
const resource = (service) => resourceFromAttributes({
  'service.name': service, 'service.namespace': 'shop', 'service.instance.id': `${service}-${run}`,
  'k8s.namespace.name': 'default', 'k8s.pod.name': `${service}-pod`, 'host.name': 'node-7', 'deployment.environment': 'test' });

async function metrics() {
  const reader = new PeriodicExportingMetricReader({
    exporter: new OTLPMetricExporter({ ...options('/v1/metrics'), temporalityPreference: AggregationTemporality.CUMULATIVE }),
    exportIntervalMillis: 3600000 });
  const provider = new MeterProvider({ resource: resource('checkout'), readers: [reader], views: [
    { instrumentName: 'payload.size', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }] });
  const meter = provider.getMeter('otel-test', '1.2.3');
  meter.createCounter('orders.placed', { description: 'Orders.', unit: '{order}' }).add(5, { 'payment.method': 'card', run });
  const latency = meter.createHistogram('http.server.request.duration', { unit: 's', advice: { explicitBucketBoundaries: [0.1, 0.5, 1] } });
  for (const v of [0.05, 0.2, 0.3, 2]) latency.record(v, { run });
  const size = meter.createHistogram('payload.size', { unit: 'By' });
  for (const v of [1, 2, 3, 4, 1000]) size.record(v, { run });
  meter.createObservableGauge('queue.depth').addCallback((r) => r.observe(42, { run }));
  meter.createUpDownCounter('sessions').add(-3, { run });
  await provider.forceFlush();
  await provider.shutdown();
}

async function traces() {
  const provider = (service) => new NodeTracerProvider({
    resource: resource(service), spanProcessors: [new SimpleSpanProcessor(new OTLPTraceExporter(options('/v1/traces')))] });
  const front = provider('frontend'), back = provider('checkout');
  const root = front.getTracer('web', '1').startSpan('GET /buy', { kind: SpanKind.SERVER,
    attributes: { 'http.request.method': 'GET', 'http.response.status_code': 500, run, retries: [1, 2], ratio: 0.5, cached: false } });
  const call = front.getTracer('web', '1').startSpan('POST /orders', { kind: SpanKind.CLIENT }, trace.setSpan(context.active(), root));
  const child = back.getTracer('rpc', '2').startSpan('place order', { kind: SpanKind.SERVER, links: [{ context: root.spanContext() }] },
    trace.setSpan(context.active(), call));
  child.addEvent('stock checked', { items: 3 });
  child.recordException(new Error('out of stock'));
  child.setStatus({ code: SpanStatusCode.ERROR, message: 'out of stock' });
  child.end(); call.end(); root.end();
  for (const p of [front, back]) { await p.forceFlush(); await p.shutdown(); }
  return root.spanContext();
}

async function logs(spanContext) {
  const provider = new LoggerProvider({ resource: resource('checkout'), processors: [
    new SimpleLogRecordProcessor(new OTLPLogExporter(options('/v1/logs')))] });
  const logger = provider.getLogger('app');
  logger.emit({ severityNumber: 17, severityText: 'ERROR', body: `order failed run=${run}`,
                attributes: { 'order.id': 7, run }, context: trace.setSpanContext(context.active(), spanContext) });
  logger.emit({ severityNumber: 9, body: { message: 'structured', run, parts: [1, 'two'] }, attributes: { run } });
  await provider.forceFlush();
  await provider.shutdown();
}

(async () => {
  await metrics();
  const spanContext = await traces();
  await logs(spanContext);
  console.log(spanContext.traceId);
  process.exit(failed ? 1 : 0);
})().catch((e) => { console.error(e); process.exit(1); });
