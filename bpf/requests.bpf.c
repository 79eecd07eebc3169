// HTTP/1 requests and DNS queries, seen at the end of the system calls that move bytes of sockets:
// the application is not touched. Eight bytes say whether a buffer looks like the beginning of a
// request or an answer; only then the socket is looked up. The head of a request waits by its
// socket until the answer begins, then both leave as one record. What goes on in one socket is
// taken one at a time: of requests that are sent in one write, only the first is seen.
#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "account.h"
#include "cgroup_key.h"
#include "file_name.h"
#include "places.h"
#include "requests.h"
#include "selection.h"

#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define DNS_PORT 53
#define DNS_HEAD_BYTES 12
#define RING_BYTES (4 * 1024 * 1024)

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, RING_BYTES);
} ring SEC(".maps");

struct pending {
  __u64 at_ns;  // 0: nothing is asked
  __u64 cgroup;
  __u64 peer_cgroup;
  __u32 kind;
  __u32 ports;  // of the connection: a socket's address may come again with another one
  __u32 head_bytes;
  __u32 unused;
  char head[REQUEST_HEAD_BYTES];
};

// What is asked, by the address of the socket.
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 4096);
  __type(key, __u64);
  __type(value, struct pending);
} asked SEC(".maps");

struct dns_pending {
  __u64 at_ns;
  __u64 cgroup;
  __u32 pid;
  __u32 bytes;
  struct request_place mine;
  struct request_place peers;
  char comm[16];
  char message[DNS_MESSAGE_BYTES];
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, struct dns_key);
  __type(value, struct dns_pending);
} queries SEC(".maps");

struct ends {
  struct request_place mine;
  struct request_place peers;
};

// Who asks, by the ends of the connection as the asker sees them.
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 8192);
  __type(key, struct ends);
  __type(value, __u64);
} callers SEC(".maps");

// Room that the stack has not.
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct pending);
} scratch SEC(".maps");

const volatile bool only_selected = false;
const volatile bool with_clients = false;
const volatile __u8 roles[REQUEST_NUMBERS] = {};

struct iovec {
  const char* base;
  __u64 bytes;
};
struct message_header {
  const void* name;
  int name_bytes;
  int unused;
  const struct iovec* vector;
  __u64 vectors;
  const void* control;
  __u64 control_bytes;
  int flags;
  int unused2;
};
struct message_and_length {
  struct message_header header;
  __u32 length;
  __u32 unused;
};

enum { LOOKS_LIKE_NOTHING, LOOKS_LIKE_REQUEST, LOOKS_LIKE_RESPONSE, LOOKS_LIKE_DNS };

#define WORD(a, b, c, d) ((__u32)(a) | (__u32)(b) << 8 | (__u32)(c) << 16 | (__u32)(d) << 24)

static __always_inline int look(__u64 head, bool is_out) {
  __u32 word = head;
  switch (word) {
    case WORD('G', 'E', 'T', ' '):
    case WORD('P', 'O', 'S', 'T'):
    case WORD('P', 'U', 'T', ' '):
    case WORD('H', 'E', 'A', 'D'):
    case WORD('D', 'E', 'L', 'E'):
    case WORD('P', 'A', 'T', 'C'):
    case WORD('O', 'P', 'T', 'I'):
      return LOOKS_LIKE_REQUEST;
    case WORD('H', 'T', 'T', 'P'):
      return (__u32)(head >> 32) == WORD('/', '1', '.', '1') ||
                     (__u32)(head >> 32) == WORD('/', '1', '.', '0')
                 ? LOOKS_LIKE_RESPONSE
                 : LOOKS_LIKE_NOTHING;
  }
  // Flags, and one question; a query has no answers.
  bool is_answer = word >> 16 & 0x80;
  if ((word >> 16 & 0x78) == 0 && (__u16)(head >> 32) == 0x0100) {
    if (is_out && !is_answer && (__u16)(head >> 48) == 0) return LOOKS_LIKE_DNS;
    if (!is_out && is_answer) return LOOKS_LIKE_DNS;
  }
  return LOOKS_LIKE_NOTHING;
}

static __always_inline void submit(void* record) {
  __u64 flags = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > RING_BYTES / 8 ? BPF_RB_FORCE_WAKEUP
                                                                             : BPF_RB_NO_WAKEUP;
  bpf_ringbuf_submit(record, flags);
}

static __always_inline __u32 ports_of(struct sock* sk) {
  return (__u32)BPF_CORE_READ(sk, __sk_common.skc_num) << 16 |
         BPF_CORE_READ(sk, __sk_common.skc_dport);
}

// 0 if the descriptor is no socket of this protocol.
static __always_inline struct sock* socket_at(long fd, __u16 protocol) {
  struct file* file = file_of(fd);
  if (!file) return 0;
  if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK) return 0;
  struct sock* sk = socket_of(file);
  if (!sk) return 0;
  __u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
  if (family != AF_INET && family != AF_INET6) return 0;
  return BPF_CORE_READ(sk, sk_protocol) == protocol ? sk : 0;
}

static __noinline int asks(struct sock* sk, const char* bytes, __u32 count, __u32 kind,
                           __u64 cgroup) {
  if (!sk) return 0;
  __u64 key = (__u64)sk;
  __u32 ports = ports_of(sk), zero = 0;
  struct pending* entry = bpf_map_lookup_elem(&asked, &key);
  if (!entry) {
    struct pending* fresh = bpf_map_lookup_elem(&scratch, &zero);
    if (!fresh) return 0;
    fresh->ports = 0;
    fresh->at_ns = 0;
    bpf_map_update_elem(&asked, &key, fresh, 0);
    entry = bpf_map_lookup_elem(&asked, &key);
    if (!entry) return 0;
  }
  if (entry->ports != ports || entry->kind != kind) {
    entry->ports = ports;
    entry->kind = kind;
    entry->peer_cgroup = 0;
    if (kind == REQUEST_HTTP_CLIENT) {
      struct ends ends;
      PLACES_OF(sk, &ends.mine, &ends.peers);
      bpf_map_update_elem(&callers, &ends, &cgroup, 0);
    }
  }
  if (kind == REQUEST_HTTP_CLIENT && !with_clients) return 0;
  if (count > REQUEST_HEAD_BYTES) count = REQUEST_HEAD_BYTES;
  entry->cgroup = cgroup;
  entry->head_bytes = bpf_probe_read_user(entry->head, count, bytes) == 0 ? count : 0;
  entry->at_ns = bpf_ktime_get_ns();
  return 0;
}

static __noinline int answers(struct sock* sk, const char* bytes, __u32 kind) {
  if (!sk) return 0;
  __u64 key = (__u64)sk;
  if (kind == REQUEST_HTTP_CLIENT && !with_clients) return 0;
  char head[16] = {};
  bpf_probe_read_user(head, 13, bytes);
  __u32 status = (head[9] - '0') * 100 + (head[10] - '0') * 10 + (head[11] - '0');
  if (status >= 100 && status < 200) return 0;  // the answer itself is still to come
  struct account* account = my_account();
  account->produced++;
  struct pending* entry = bpf_map_lookup_elem(&asked, &key);
  if (!entry || !entry->at_ns || entry->kind != kind || entry->ports != ports_of(sk)) {
    account->dropped_no_request++;
    return 0;
  }
  __u64 at_ns = entry->at_ns;
  entry->at_ns = 0;
  struct http_record* record = bpf_ringbuf_reserve(&ring, sizeof *record, 0);
  if (!record) {
    account->dropped_ring_full++;
    return 0;
  }
  struct request_begin* begin = &record->begin;
  struct ends ends;
  PLACES_OF(sk, &ends.mine, &ends.peers);
  begin->mine = ends.mine;
  begin->peers = ends.peers;
  if (kind == REQUEST_HTTP_SERVER && !entry->peer_cgroup) {
    struct ends mirrored;
    mirrored.mine = ends.peers;
    mirrored.peers = ends.mine;
    __u64* caller = bpf_map_lookup_elem(&callers, &mirrored);
    if (caller) entry->peer_cgroup = *caller;
  }
  begin->at_ns = at_ns;
  begin->took_ns = bpf_ktime_get_ns() - at_ns;
  begin->cgroup = entry->cgroup;
  begin->peer_cgroup = entry->peer_cgroup;
  begin->kind = kind;
  begin->pid = bpf_get_current_pid_tgid() >> 32;
  begin->status = status;
  begin->head_bytes = entry->head_bytes;
  bpf_get_current_comm(begin->comm, sizeof begin->comm);
  bpf_probe_read_kernel(record->head, sizeof record->head, entry->head);
  submit(record);
  return 0;
}

static __always_inline __u16 port_of_name(const void* name) {
  struct {
    __u16 family;
    __u16 port;
  } address = {};
  if (!name || bpf_probe_read_user(&address, sizeof address, name)) return 0;
  return __builtin_bswap16(address.port);
}

static __noinline int queries_dns(struct sock* sk, const char* bytes, __u32 count,
                                  const void* name) {
  if (!sk || count < DNS_HEAD_BYTES) return 0;
  __u16 port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
  if (port != DNS_PORT && port_of_name(name) != DNS_PORT) return 0;
  __u16 id = 0;
  bpf_probe_read_user(&id, sizeof id, bytes);
  struct dns_key key = {.socket = (__u64)sk, .id = id};
  struct dns_pending fresh = {.at_ns = bpf_ktime_get_ns(),
                              .cgroup = cgroup_key(bpf_get_current_task_btf()),
                              .pid = bpf_get_current_pid_tgid() >> 32};
  if (count > DNS_MESSAGE_BYTES) count = DNS_MESSAGE_BYTES;
  if (bpf_probe_read_user(fresh.message, count, bytes) == 0) fresh.bytes = count;
  bpf_get_current_comm(fresh.comm, sizeof fresh.comm);
  PLACES_OF(sk, &fresh.mine, &fresh.peers);
  struct account* account = my_account();
  account->produced++;
  if (bpf_map_update_elem(&queries, &key, &fresh, BPF_NOEXIST)) {
    // The same query again, or no room.
    if (bpf_map_lookup_elem(&queries, &key)) {
      account->produced--;
    } else {
      account->dropped_map_full++;
    }
  }
  return 0;
}

static __noinline int answers_dns(struct sock* sk, const char* bytes, __u32 count) {
  if (!sk || count < DNS_HEAD_BYTES) return 0;
  __u8 head[4] = {};
  bpf_probe_read_user(head, sizeof head, bytes);
  struct dns_key key = {.socket = (__u64)sk, .id = (__u16)(head[0] | (__u16)head[1] << 8)};
  struct dns_pending* entry = bpf_map_lookup_elem(&queries, &key);
  if (!entry) return 0;
  struct dns_record* record = bpf_ringbuf_reserve(&ring, sizeof *record, 0);
  if (!record) {
    my_account()->dropped_ring_full++;
    bpf_map_delete_elem(&queries, &key);
    return 0;
  }
  struct request_begin* begin = &record->begin;
  begin->at_ns = entry->at_ns;
  begin->took_ns = bpf_ktime_get_ns() - entry->at_ns;
  begin->cgroup = entry->cgroup;
  begin->peer_cgroup = 0;
  begin->kind = REQUEST_DNS;
  begin->pid = entry->pid;
  begin->status = head[3] & 0xF;
  begin->head_bytes = entry->bytes;
  begin->mine = entry->mine;
  begin->peers = entry->peers;
  bpf_probe_read_kernel(begin->comm, sizeof begin->comm, entry->comm);
  bpf_probe_read_kernel(record->message, sizeof record->message, entry->message);
  submit(record);
  bpf_map_delete_elem(&queries, &key);
  return 0;
}

// glibc asks for both kinds of addresses in one sendmmsg.
static __noinline int second_query(long fd, const struct message_and_length* second) {
  struct message_header header = {};
  struct iovec vector = {};
  __u64 head = 0;
  if (bpf_probe_read_user(&header, sizeof header, second) ||
      bpf_probe_read_user(&vector, sizeof vector, header.vector) || vector.bytes < sizeof head ||
      bpf_probe_read_user(&head, sizeof head, vector.base) || look(head, true) != LOOKS_LIKE_DNS)
    return 0;
  struct sock* sk = socket_at(fd, IPPROTO_UDP);
  __u32 count = vector.bytes > DNS_MESSAGE_BYTES ? DNS_MESSAGE_BYTES : vector.bytes;
  return sk ? queries_dns(sk, vector.base, count, header.name) : 0;
}

static __always_inline int ends_call(long number, long result, long fd, unsigned long second,
                                     unsigned long fifth) {
  if (number < 0 || number >= REQUEST_NUMBERS || result <= 0) return 0;
  __u32 role = roles[number & (REQUEST_NUMBERS - 1)];
  if (!role) return 0;
  struct task_struct* task = bpf_get_current_task_btf();
  __u64 cgroup = cgroup_key(task);
  if (only_selected && !is_selected(cgroup)) return 0;
  const char* bytes = (const char*)second;
  const void* name = 0;
  __u64 count = result;
  if (role == REQUEST_IN_MESSAGE || role >= REQUEST_OUT_MESSAGE) {
    struct message_header header = {};
    if (bpf_probe_read_user(&header, sizeof header, bytes)) return 0;
    bytes = (const char*)header.vector;
    name = header.name;
  } else if (role == REQUEST_OUT_BUFFER) {
    name = (const void*)fifth;
  }
  if (role != REQUEST_IN_BUFFER && role != REQUEST_OUT_BUFFER) {
    struct iovec vector = {};
    if (!bytes || bpf_probe_read_user(&vector, sizeof vector, bytes)) return 0;
    bytes = vector.base;
    if (role == REQUEST_OUT_MESSAGES || count > vector.bytes) count = vector.bytes;
  }
  if (role == REQUEST_OUT_MESSAGES && result > 1)
    second_query(fd, (const struct message_and_length*)second + 1);
  __u64 head = 0;
  if (count < sizeof head || bpf_probe_read_user(&head, sizeof head, bytes)) return 0;
  bool is_out = role >= REQUEST_OUT_BUFFER;
  int kind = look(head, is_out);
  if (kind == LOOKS_LIKE_NOTHING) return 0;
  struct sock* sk = socket_at(fd, kind == LOOKS_LIKE_DNS ? IPPROTO_UDP : IPPROTO_TCP);
  if (!sk) return 0;
  if (count > REQUEST_HEAD_BYTES) count = REQUEST_HEAD_BYTES;
  if (kind == LOOKS_LIKE_DNS)
    return is_out ? queries_dns(sk, bytes, count, name) : answers_dns(sk, bytes, count);
  if (kind == LOOKS_LIKE_REQUEST)
    return asks(sk, bytes, count, is_out ? REQUEST_HTTP_CLIENT : REQUEST_HTTP_SERVER, cgroup);
  return answers(sk, bytes, is_out ? REQUEST_HTTP_SERVER : REQUEST_HTTP_CLIENT);
}

// Attached to the tracepoints of the calls that have a role, so that others pay next to nothing.
SEC("?tracepoint")
int request_exit_one(struct trace_event_raw_sys_exit* context) {
  struct pt_regs* regs = (struct pt_regs*)bpf_task_pt_regs(bpf_get_current_task_btf());
  return ends_call(*(int*)((char*)context + 8), context->ret, SYSCALL_FIRST(regs),
                   SYSCALL_SECOND(regs), SYSCALL_FIFTH(regs));
}

SEC("?tp_btf/sys_exit")
int BPF_PROG(request_exit, struct pt_regs* regs, long result) {
  return ends_call(SYSCALL_NUMBER(regs), result, SYSCALL_FIRST(regs), SYSCALL_SECOND(regs),
                   SYSCALL_FIFTH(regs));
}

char LICENSE[] SEC("license") = "GPL";
