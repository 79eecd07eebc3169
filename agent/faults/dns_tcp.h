// DNS questions over TCP, answered on the way as those over UDP are (dns_answer.h). The connection
// itself is the target's and its server's; only a segment with a question that is meant goes no
// further: the target gets the answer in the server's name, the server a reset, and from then on
// the connection is ours until the target ends it. Limits: a question must come in one segment
// (with its length before it or sent ahead), and what else is asked on such a connection is
// answered by a reset.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/faults/dns_answer.h"

namespace faultline {

class DnsTcp {
 public:
  struct Frames {
    std::vector<std::string> back;  // to the target
    std::vector<std::string> on;    // to the server
  };
  // An Ethernet frame that the target sends; nullopt: it goes on as it is. Else it does not, and
  // these go instead.
  std::optional<Frames> Take(std::string_view frame, const DnsRules& rules,
                             std::minstd_rand& random);

 private:
  std::set<std::string> ours_;  // addresses and ports of connections
};

}  // namespace faultline
