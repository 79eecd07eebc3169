// Requests that containers answer (and, if wanted, make): HTTP/1 over TCP, DNS over UDP.
#pragma once

#define REQUEST_HEAD_BYTES 512
#define DNS_MESSAGE_BYTES 128
#define REQUEST_NUMBERS 512  // numbers of system calls are below that

// What the probe does at the end of a system call, by its number.
enum request_role {
  REQUEST_NONE = 0,
  REQUEST_IN_BUFFER = 1,   // read, recvfrom: address of the bytes is the second argument
  REQUEST_IN_VECTOR = 2,   // readv: of an iovec
  REQUEST_IN_MESSAGE = 3,  // recvmsg: of a msghdr
  REQUEST_OUT_BUFFER = 4,  // write, sendto
  REQUEST_OUT_VECTOR = 5,
  REQUEST_OUT_MESSAGE = 6,
  REQUEST_OUT_MESSAGES = 7,  // sendmmsg
};

enum request_kind { REQUEST_HTTP_SERVER = 1, REQUEST_HTTP_CLIENT = 2, REQUEST_DNS = 3 };

struct request_place {
  __u8 address[16];  // IPv4 as ::ffff:a.b.c.d
  __u32 net;         // number of the network namespace of a loopback address, else 0
  __u16 port;
  __u16 unused;
};

// The part that records of every kind begin with.
struct request_begin {
  __u64 at_ns;  // CLOCK_MONOTONIC
  __u64 took_ns;
  __u64 cgroup;
  __u64 peer_cgroup;  // where the other side lives on this node; else 0
  __u32 kind;
  __u32 pid;
  __u32 status;      // of HTTP; response code of DNS
  __u32 head_bytes;  // that follow
  struct request_place mine;
  struct request_place peers;
  char comm[16];
};

struct http_record {
  struct request_begin begin;
  char head[REQUEST_HEAD_BYTES];
};

struct dns_record {
  struct request_begin begin;
  char message[DNS_MESSAGE_BYTES];  // the query
};

struct dns_key {
  __u64 socket;
  __u64 id;
};
