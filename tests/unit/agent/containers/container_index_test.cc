#include "agent/containers/container_index.h"

#include <gtest/gtest.h>

#include <set>

#include "faultline/v1/config.pb.h"
#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

const std::string kId(64, 'a');
const std::string kOtherId(64, 'b');
const std::string kUid = "12345678-90ab-cdef-1234-567890abcdef";

class ContainerIndexTest : public testing::Test {
 protected:
  ContainerIndexTest() {
    host_.fs = FsRoot(tree_.root());
    host_.clock = &clock_;
  }
  void Unified() {
    tree_.File("/proc/self/mountinfo", "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    tree_.Folder("/sys/fs/cgroup");
  }
  void V1() {
    tree_.File("/proc/self/mountinfo",
               "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
               "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
               "36 31 0:33 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
               "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n");
    for (const char* folder : {"cpu", "memory", "pids", "systemd"}) {
      tree_.Folder(std::string("/sys/fs/cgroup/") + folder);
    }
  }
  void Make() {
    auto made = ContainerIndex::Create(host_, config_);
    ASSERT_TRUE(made) << made.error().message;
    index_ = std::move(*made);
    ASSERT_TRUE(index_->Refresh());
  }
  std::set<std::string> Paths() const {
    std::set<std::string> paths;
    for (const auto& identity : index_->containers()) paths.insert(identity.cgroup_path);
    return paths;
  }
  const ContainerIdentity* At(std::string_view path) {
    return index_->Resolve(Origin{.cgroup_path = path});
  }

  TempTree tree_;
  ManualClock clock_{1'000};
  HostView host_;
  v1::AgentConfig config_;
  std::unique_ptr<ContainerIndex> index_;
};

TEST_F(ContainerIndexTest, NoCgroupsIsNotFound) {
  const auto made = ContainerIndex::Create(host_, config_);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::kNotFound);
}

TEST_F(ContainerIndexTest, UnifiedListsPlainCgroupsWithTheirIds) {
  Unified();
  tree_.Folder("/sys/fs/cgroup/system.slice/nginx.service");
  Make();
  EXPECT_EQ(Paths(), (std::set<std::string>{"/system.slice", "/system.slice/nginx.service"}));
  const ContainerIdentity* nginx = At("/system.slice/nginx.service");
  ASSERT_NE(nginx, nullptr);
  EXPECT_EQ(nginx->container, "nginx.service");
  EXPECT_EQ(nginx->runtime, "cgroup");
  ASSERT_NE(nginx->cgroup_id, 0u);
  EXPECT_EQ(index_->Resolve(Origin{.cgroup_id = nginx->cgroup_id}), nginx);
}

TEST_F(ContainerIndexTest, V1IsTheUnionOfItsHierarchies) {
  V1();
  tree_.Folder("/sys/fs/cgroup/cpu/a");
  tree_.Folder("/sys/fs/cgroup/memory/a/inner");
  tree_.Folder("/sys/fs/cgroup/pids/b");
  tree_.Folder("/sys/fs/cgroup/systemd/unseen");
  Make();
  EXPECT_EQ(Paths(), (std::set<std::string>{"/a", "/a/inner", "/b"}));
  EXPECT_EQ(At("/a")->cgroup_id, 0u);
  EXPECT_EQ(index_->mounts().Folder("memory", "/a"), "/sys/fs/cgroup/memory/a");
}

TEST_F(ContainerIndexTest, FollowsBirthDeathAndRebirth) {
  Unified();
  tree_.Folder("/sys/fs/cgroup/a/one");
  Make();
  const uint64_t first_id = At("/a/one")->cgroup_id;
  tree_.Folder("/sys/fs/cgroup/a/two");
  tree_.Folder("/sys/fs/cgroup/b");
  ASSERT_TRUE(index_->Refresh());
  EXPECT_EQ(Paths(), (std::set<std::string>{"/a", "/a/one", "/a/two", "/b"}));
  tree_.Remove("/sys/fs/cgroup/a/one");
  tree_.Folder("/sys/fs/cgroup/a/three");
  ASSERT_TRUE(index_->Refresh());
  EXPECT_EQ(Paths(), (std::set<std::string>{"/a", "/a/three", "/a/two", "/b"}));
  EXPECT_EQ(At("/a/one")->cgroup_path, "/a");
  tree_.Remove("/sys/fs/cgroup/a");
  ASSERT_TRUE(index_->Refresh());
  EXPECT_EQ(Paths(), (std::set<std::string>{"/b"}));
  EXPECT_EQ(index_->Resolve(Origin{.cgroup_id = first_id}), nullptr);
}

TEST_F(ContainerIndexTest, PodContainerAndWhatIsNestedInIt) {
  Unified();
  const std::string pod = "/kubepods/burstable/pod" + kUid;
  tree_.Folder("/sys/fs/cgroup" + pod + "/" + kId + "/init");
  tree_.Folder("/sys/fs/cgroup" + pod + "/" + kOtherId);
  const std::string tasks = "/run/containerd/io.containerd.runtime.v2.task/k8s.io/";
  const std::string common =
      R"("io.kubernetes.cri.sandbox-name":"web-0","io.kubernetes.cri.sandbox-namespace":"shop",)"
      R"("io.kubernetes.cri.sandbox-uid":")" +
      kUid + R"(")";
  tree_.File(
      tasks + kId + "/config.json",
      R"({"annotations":{"io.kubernetes.cri.container-type":"container","io.kubernetes.cri.container-name":"nginx",)"
      R"("io.kubernetes.cri.image-name":"docker.io/nginx:1",)" +
          common + "}}");
  tree_.File(tasks + kOtherId + "/config.json",
             R"({"annotations":{"io.kubernetes.cri.container-type":"sandbox",)" + common + "}}");
  tree_.Folder("/var/log/pods/shop_web-0_" + kUid + "/nginx");
  Make();
  const ContainerIdentity* nginx = At(pod + "/" + kId);
  ASSERT_NE(nginx, nullptr);
  EXPECT_EQ(nginx->name_space, "shop");
  EXPECT_EQ(nginx->pod, "web-0");
  EXPECT_EQ(nginx->container, "nginx");
  EXPECT_EQ(nginx->image, "docker.io/nginx:1");
  EXPECT_EQ(nginx->runtime, "containerd");
  EXPECT_EQ(At(pod + "/" + kId + "/init"), nginx);
  EXPECT_EQ(At(pod + "/" + kOtherId)->container, "POD");
  const ContainerIdentity* whole = At(pod);
  EXPECT_EQ(whole->pod, "web-0");
  EXPECT_EQ(whole->name_space, "shop");
  EXPECT_EQ(whole->container, "");
  EXPECT_EQ(Paths().count(pod + "/" + kId + "/init"), 0u);
}

TEST_F(ContainerIndexTest, KubeletsLogFoldersAloneNameThePod) {
  Unified();
  const std::string slice =
      "/kubepods.slice/kubepods-pod12345678_90ab_cdef_1234_567890abcdef.slice";
  tree_.Folder("/sys/fs/cgroup" + slice + "/cri-containerd-" + kId + ".scope");
  tree_.Folder("/sys/fs/cgroup" + slice + "/cri-containerd-" + kOtherId + ".scope");
  tree_.Folder("/var/log/pods/shop_web-0_" + kUid + "/nginx");
  tree_.File("/var/log/containers/web-0_shop_my-nginx-" + kId + ".log", "");
  Make();
  const ContainerIdentity* nginx = At(slice + "/cri-containerd-" + kId + ".scope");
  EXPECT_EQ(nginx->name_space, "shop");
  EXPECT_EQ(nginx->pod, "web-0");
  EXPECT_EQ(nginx->container, "my-nginx");
  const ContainerIdentity* other = At(slice + "/cri-containerd-" + kOtherId + ".scope");
  EXPECT_EQ(other->pod, "web-0");
  EXPECT_EQ(other->container, kOtherId);
}

TEST_F(ContainerIndexTest, AStateFileThatComesLateIsStillRead) {
  Unified();
  tree_.Folder("/sys/fs/cgroup/docker/" + kId);
  Make();
  EXPECT_EQ(At("/docker/" + kId)->container, kId);
  tree_.File(
      "/var/lib/docker/containers/" + kId + "/config.v2.json",
      R"({"Name":"/web","Config":{"Image":"nginx:1","Labels":{"app":"shop","io.kubernetes.pod.name":"p"}}})");
  ASSERT_TRUE(index_->Refresh());
  const ContainerIdentity* web = At("/docker/" + kId);
  EXPECT_EQ(web->container, "web");
  EXPECT_EQ(web->image, "nginx:1");
  EXPECT_EQ(web->pod, "p");
  EXPECT_EQ(web->labels, (std::vector<std::pair<std::string, std::string>>{{"app", "shop"}}));
}

TEST_F(ContainerIndexTest, CrioAndPodman) {
  Unified();
  const std::string slice =
      "/kubepods.slice/kubepods-pod12345678_90ab_cdef_1234_567890abcdef.slice";
  tree_.Folder("/sys/fs/cgroup" + slice + "/crio-" + kId + ".scope");
  tree_.File(
      "/run/containers/storage/overlay-containers/" + kId + "/userdata/config.json",
      R"({"annotations":{"io.kubernetes.pod.name":"db-0","io.kubernetes.pod.namespace":"shop",)"
      R"("io.kubernetes.container.name":"postgres","io.kubernetes.cri-o.ContainerType":"container",)"
      R"("io.kubernetes.cri-o.Labels":"{\"app\":\"db\",\"io.kubernetes.pod.uid\":\"x\"}"}})");
  tree_.Folder("/sys/fs/cgroup/machine.slice/libpod-" + kOtherId + ".scope/container");
  tree_.File("/var/lib/containers/storage/overlay-containers/containers.json",
             R"([{"id":")" + kOtherId + R"(","names":["hopeful_bell"]}])");
  Make();
  const ContainerIdentity* postgres = At(slice + "/crio-" + kId + ".scope");
  EXPECT_EQ(postgres->runtime, "crio");
  EXPECT_EQ(postgres->container, "postgres");
  EXPECT_EQ(postgres->labels, (std::vector<std::pair<std::string, std::string>>{{"app", "db"}}));
  const ContainerIdentity* bell = At("/machine.slice/libpod-" + kOtherId + ".scope/container");
  EXPECT_EQ(bell->runtime, "podman");
  EXPECT_EQ(bell->container, "hopeful_bell");
}

TEST_F(ContainerIndexTest, BrokenStateFilesChangeNothing) {
  Unified();
  tree_.Folder("/sys/fs/cgroup/docker/" + kId);
  tree_.File("/var/lib/docker/containers/" + kId + "/config.v2.json", R"({"Name":7,"Config":[)");
  tree_.File("/run/containerd/io.containerd.runtime.v2.task/moby/" + kId + "/config.json", "[]");
  tree_.File("/run/containers/storage/overlay-containers/" + kId + "/userdata/config.json",
             R"({"annotations":{"a":1}})");
  Make();
  EXPECT_EQ(At("/docker/" + kId)->container, kId);
}

TEST_F(ContainerIndexTest, PidsResolveInHybrid) {
  tree_.File("/proc/self/mountinfo",
             "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
             "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  tree_.File("/sys/fs/cgroup/memory/victim/cgroup.procs", "42\n7\n");
  tree_.Folder("/sys/fs/cgroup/unified");
  tree_.File("/proc/42/cgroup", "4:memory:/victim\n0::/\n");
  tree_.File("/proc/43/cgroup", "4:memory:/\n0::/\n");
  tree_.File("/proc/44/cgroup", "4:memory:/../../victim/deeper\n0::/\n");
  Make();
  EXPECT_EQ(index_->Resolve(Origin{.pid = 42})->container, "victim");
  EXPECT_EQ(index_->Resolve(Origin{.pid = 44})->container, "victim");
  EXPECT_EQ(index_->Resolve(Origin{.pid = 43}), nullptr);
  EXPECT_EQ(At("/"), nullptr);
  EXPECT_EQ(index_->misses(), 0u);  // the root is the node, not a miss
  EXPECT_EQ(index_->Resolve(Origin{.pid = 99}), nullptr);
  EXPECT_EQ(At("/nobody"), nullptr);
  EXPECT_EQ(index_->misses(), 2u);
  EXPECT_EQ(index_->Pids("/victim").value(), (std::vector<uint32_t>{7, 42}));
  EXPECT_EQ(index_->Pids("/nobody").error().code, ErrorCode::kNotFound);
}

TEST_F(ContainerIndexTest, KernelKeysResolveInBothHierarchies) {
  tree_.File("/proc/self/mountinfo",
             "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
             "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  tree_.Folder("/sys/fs/cgroup/memory/a/inner");
  tree_.Folder("/sys/fs/cgroup/memory/ab");
  tree_.Folder("/sys/fs/cgroup/unified/a");
  Make();
  const auto keys = index_->KernelKeys("/a");
  ASSERT_EQ(keys.size(), 3u);  // in v2; in memory: itself and inner
  std::multiset<std::string> paths;
  for (const uint64_t key : keys)
    paths.insert(index_->ResolveKernelKey(key).container->cgroup_path);
  EXPECT_EQ(paths, (std::multiset<std::string>{"/a", "/a", "/a/inner"}));
  EXPECT_EQ(index_->ResolveKernelKey(12345).container, nullptr);
  EXPECT_FALSE(index_->ResolveKernelKey(12345).is_node);
}

TEST_F(ContainerIndexTest, TheLimitIsKeptAndTheExcessCounted) {
  Unified();
  config_.mutable_containers()->set_max_cgroups(10);
  for (int i = 0; i < 35; ++i) tree_.Folder("/sys/fs/cgroup/g" + std::to_string(100 + i));
  Make();
  EXPECT_EQ(index_->containers().size(), 10u);
  EXPECT_EQ(index_->excess_cgroups(), 25u);  // 20 were entered, of which 10 are listed
  for (int i = 0; i < 30; ++i) tree_.Remove("/sys/fs/cgroup/g" + std::to_string(100 + i));
  ASSERT_TRUE(index_->Refresh());
  ASSERT_TRUE(index_->Refresh());
  EXPECT_EQ(index_->containers().size(), 5u);
  EXPECT_EQ(index_->excess_cgroups(), 0u);
}

TEST_F(ContainerIndexTest, ExcludedCgroupsAreAnsweredForByTheOneAbove) {
  Unified();
  config_.mutable_containers()->add_exclude("/user\\.slice/.*");
  tree_.Folder("/sys/fs/cgroup/user.slice/session");
  Make();
  EXPECT_EQ(Paths(), (std::set<std::string>{"/user.slice"}));
  EXPECT_EQ(At("/user.slice/session")->container, "user.slice");
  config_.mutable_containers()->add_exclude("(");
  EXPECT_EQ(ContainerIndex::Create(host_, config_).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(ContainerIndexTest, InventoryIsComplete) {
  Unified();
  tree_.File("/sys/fs/cgroup/a/cgroup.procs", "5\n");
  Make();
  const v1::Inventory inventory = index_->Inventory();
  ASSERT_EQ(inventory.containers_size(), 1);
  EXPECT_EQ(inventory.containers(0).subject().cgroup(), "/a");
  EXPECT_EQ(inventory.containers(0).pids(0), 5u);
  EXPECT_GT(inventory.containers(0).started_unix_ns(), 0);
}

}  // namespace
}  // namespace faultline
