#include "agent/containers/path_identity.h"

#include <gtest/gtest.h>

namespace faultline {
namespace {

const std::string kId(64, 'a');
const std::string kUid = "12345678-90ab-cdef-1234-567890abcdef";
const std::string kUidWithUnderscores = "12345678_90ab_cdef_1234_567890abcdef";

struct Expected {
  std::string path, runtime, container_id, pod_uid;
  bool is_pod = false;
};

class PathIdentityTest : public testing::TestWithParam<Expected> {};

TEST_P(PathIdentityTest, FollowsTheConvention) {
  const PathIdentity identity = IdentityOfPath(GetParam().path);
  EXPECT_EQ(identity.runtime, GetParam().runtime);
  EXPECT_EQ(identity.container_id, GetParam().container_id);
  EXPECT_EQ(identity.pod_uid, GetParam().pod_uid);
  EXPECT_EQ(identity.is_pod, GetParam().is_pod);
}

const std::string kSlice = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" +
                           kUidWithUnderscores + ".slice";
INSTANTIATE_TEST_SUITE_P(
    All, PathIdentityTest,
    testing::Values(Expected{"/kubepods/burstable/pod" + kUid + "/" + kId, "containerd", kId, kUid},
                    Expected{"/kubepods/pod" + kUid, "", "", kUid, true},
                    Expected{"/kubepods/besteffort", "", "", ""},
                    Expected{kSlice + "/cri-containerd-" + kId + ".scope", "containerd", kId, kUid},
                    Expected{kSlice + "/crio-" + kId + ".scope", "crio", kId, kUid},
                    Expected{kSlice + "/docker-" + kId + ".scope", "docker", kId, kUid},
                    Expected{kSlice, "", "", kUid, true},
                    Expected{"/kubepods.slice/kubepods-pod" + kUidWithUnderscores + ".slice", "",
                             "", kUid, true},
                    Expected{"/system.slice/containerd.service/kubepods-burstable-pod" +
                                 kUidWithUnderscores + ".slice:cri-containerd:" + kId,
                             "containerd", kId, kUid},
                    Expected{"/kubelet/kubepods/burstable/pod" + kUid + "/" + kId, "containerd",
                             kId, kUid},
                    Expected{"/k8s.io/web", "containerd", "web", ""},
                    Expected{"/moby/" + kId, "containerd", kId, ""},
                    Expected{"/docker/" + kId, "docker", kId, ""},
                    Expected{"/system.slice/docker-" + kId + ".scope", "docker", kId, ""},
                    Expected{"/machine.slice/libpod-" + kId + ".scope", "podman", kId, ""},
                    Expected{"/libpod_parent/libpod-" + kId, "podman", kId, ""},
                    Expected{"/machine.slice/libpod-conmon-" + kId + ".scope", "", "", ""},
                    Expected{kSlice + "/crio-conmon-" + kId + ".scope", "", "", kUid},
                    Expected{"/system.slice/nginx.service", "", "", ""}, Expected{"/", "", "", ""},
                    Expected{"", "", "", ""}, Expected{"/podcast", "", "", ""},
                    Expected{"no/slash", "", "", ""}));

}  // namespace
}  // namespace faultline
