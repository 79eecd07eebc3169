#include "agent/faults/dns_tcp.h"

#include "agent/faults/dns_bytes.h"

namespace faultline {
namespace {

constexpr size_t kMaxConnections = 1024;
constexpr unsigned kFin = 1, kSyn = 2, kReset = 4, kPush = 8, kAck = 16;

struct Segment {
  bool v6 = false;
  std::string_view macs;       // destination, source
  std::string_view addresses;  // source, destination
  std::string_view ports;      // source, destination
  uint32_t sequence = 0;
  uint32_t acknowledged = 0;
  unsigned flags = 0;
  std::string_view payload;
};

std::optional<Segment> ReadSegment(std::string_view frame) {
  constexpr size_t kIp = kEthernetBytes;
  if (frame.size() < kIp + 40) return std::nullopt;
  Segment segment;
  segment.macs = frame.substr(0, 12);
  const unsigned type = Read16(frame, 12);
  size_t tcp = 0;
  size_t end = 0;
  if (type == 0x0800) {
    const size_t header = (static_cast<uint8_t>(frame[kIp]) & 15U) * 4;
    if (header < 20 || frame[kIp + 9] != 6) return std::nullopt;
    if ((Read16(frame, kIp + 6) & 0x3fff) != 0) return std::nullopt;  // a fragment
    tcp = kIp + header;
    end = kIp + Read16(frame, kIp + 2);
    segment.addresses = frame.substr(kIp + 12, 8);
  } else if (type == 0x86dd) {
    segment.v6 = true;
    if (frame[kIp + 6] != 6) return std::nullopt;
    tcp = kIp + 40;
    end = tcp + Read16(frame, kIp + 4);
    segment.addresses = frame.substr(kIp + 8, 32);
  } else {
    return std::nullopt;
  }
  if (end > frame.size() || tcp + 20 > end) return std::nullopt;
  const size_t header = (static_cast<uint8_t>(frame[tcp + 12]) >> 4) * size_t{4};
  if (header < 20 || tcp + header > end || Read16(frame, tcp + 2) != 53) return std::nullopt;
  segment.ports = frame.substr(tcp, 4);
  segment.sequence = Read32(frame, tcp + 4);
  segment.acknowledged = Read32(frame, tcp + 8);
  segment.flags = static_cast<uint8_t>(frame[tcp + 13]) & 0x3fU;
  segment.payload = frame.substr(tcp + header, end - tcp - header);
  return segment;
}

// What comes next in either direction of the connection of `seen`; `back`: from the server to the
// target.
std::string MakeSegment(const Segment& seen, bool back, uint32_t sequence, uint32_t acknowledged,
                        unsigned flags, std::string_view payload) {
  const auto turned = [back](std::string_view pair) {
    const size_t half = pair.size() / 2;
    return back ? std::string(pair.substr(half)) + std::string(pair.substr(0, half))
                : std::string(pair);
  };
  const std::string addresses = turned(seen.addresses);
  std::string tcp = turned(seen.ports);
  Put32(tcp, sequence);
  Put32(tcp, acknowledged);
  Put16(tcp, 5U << 12 | flags);
  Put16(tcp, 0xffff);
  Put16(tcp, 0);
  Put16(tcp, 0);
  tcp += payload;
  const auto length = static_cast<unsigned>(tcp.size());
  Set16(tcp, 16, ~Sum16(tcp, Sum16(addresses, 6 + length)) & 0xffff);
  std::string frame = turned(seen.macs);
  if (seen.v6) {
    frame += std::string("\x86\xdd\x60\0\0\0", 6);
    Put16(frame, length);
    frame += std::string("\x06\x40", 2);
    frame += addresses;
  } else {
    std::string header("\x45\0\0\0\0\0\x40\0\x40\x06\0\0", 12);
    Set16(header, 2, 20 + length);
    header += addresses;
    Set16(header, 10, ~Sum16(header) & 0xffff);
    frame += std::string("\x08\0", 2) + header;
  }
  return frame + tcp;
}

}  // namespace

std::optional<DnsTcp::Frames> DnsTcp::Take(std::string_view frame, const DnsRules& rules,
                                           std::minstd_rand& random) {
  const auto seen = ReadSegment(frame);
  if (!seen) return std::nullopt;
  const std::string connection = std::string(seen->addresses) + std::string(seen->ports);
  if ((seen->flags & kSyn) != 0) {
    ours_.erase(connection);
    return std::nullopt;
  }
  const bool ours = ours_.contains(connection);
  if ((seen->flags & kReset) != 0) {
    ours_.erase(connection);
    if (ours) return Frames{};
    return std::nullopt;
  }
  Frames frames;
  const bool ends = (seen->flags & kFin) != 0;
  const uint32_t next =
      seen->sequence + static_cast<uint32_t>(seen->payload.size()) + static_cast<uint32_t>(ends);
  if (!seen->payload.empty()) {
    std::string_view message = seen->payload;
    if (message.size() > 2 && Read16(message, 0) == message.size() - 2) message.remove_prefix(2);
    const auto answer = AnswerDnsMessage(message, rules, random);
    if (!answer && !ours) return std::nullopt;
    if (!answer) {
      frames.back.push_back(MakeSegment(*seen, true, seen->acknowledged, next, kReset | kAck, ""));
      ours_.erase(connection);
      return frames;
    }
    if (!ours) {
      if (ours_.size() >= kMaxConnections) ours_.erase(ours_.begin());
      ours_.insert(connection);
      frames.on.push_back(
          MakeSegment(*seen, false, seen->sequence, seen->acknowledged, kReset | kAck, ""));
    }
    std::string payload;
    Put16(payload, static_cast<unsigned>(answer->size()));
    payload += *answer;
    frames.back.push_back(MakeSegment(*seen, true, seen->acknowledged, next,
                                      kPush | kAck | (ends ? kFin : 0), payload));
    return frames;
  }
  if (!ours) return std::nullopt;
  if (ends)
    frames.back.push_back(MakeSegment(*seen, true, seen->acknowledged, next, kFin | kAck, ""));
  return frames;
}

}  // namespace faultline
