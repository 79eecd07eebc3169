#include "aggregator/api/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "aggregator/api/form.h"

namespace faultline {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

Result<Reply> Nothing(const Request&, ApiContext&) { return Reply(); }

constexpr Route kRoutes[] = {
    {"GET POST", "/api/v1/query", Role::kViewer, ErrorForm::kPrometheus, "", Nothing},
    {"GET", "/api/v1/label/{name}/values", Role::kViewer, ErrorForm::kPrometheus, "", Nothing},
    {"GET", "/apis/g/v1/{plural}", Role::kViewer, ErrorForm::kKubernetes, "", Nothing},
    {"POST", "/apis/g/v1/{plural}", Role::kOperator, ErrorForm::kKubernetes, "", Nothing},
    {"GET", "/apis/g/v1/{plural}/{name}", Role::kViewer, ErrorForm::kKubernetes, "", Nothing},
    {"GET", "/apis/g/v1/status/{name}", Role::kViewer, ErrorForm::kKubernetes, "", Nothing},
};

Router::Match Find(std::string_view method, std::string_view path) {
  static const Router router(kRoutes);
  return router.Find(method, *DecodePath(path));
}

TEST(RouterTest, LiteralsAndVariables) {
  EXPECT_EQ(Find("GET", "/api/v1/query").route, &kRoutes[0]);
  EXPECT_EQ(Find("POST", "/api/v1/query").route, &kRoutes[0]);
  const auto match = Find("GET", "/api/v1/label/a%2Fb/values");
  EXPECT_EQ(match.route, &kRoutes[1]);
  EXPECT_THAT(match.path_values, ElementsAre(Pair("name", "a/b")));
}

TEST(RouterTest, OnePathSeveralRoutesByMethod) {
  EXPECT_EQ(Find("GET", "/apis/g/v1/experiments").route, &kRoutes[2]);
  EXPECT_EQ(Find("HEAD", "/apis/g/v1/experiments").route, &kRoutes[2]);
  EXPECT_EQ(Find("POST", "/apis/g/v1/experiments").route, &kRoutes[3]);
}

TEST(RouterTest, LiteralWinsOverVariable) {
  EXPECT_EQ(Find("GET", "/apis/g/v1/status/x").route, &kRoutes[5]);
  EXPECT_EQ(Find("GET", "/apis/g/v1/other/x").route, &kRoutes[4]);
}

TEST(RouterTest, SaysWhatIsAllowed) {
  const auto wrong = Find("DELETE", "/apis/g/v1/experiments");
  EXPECT_EQ(wrong.route, nullptr);
  EXPECT_EQ(wrong.allow, "GET, POST, OPTIONS");
  EXPECT_TRUE(Find("GET", "/nowhere").allow.empty());
  EXPECT_TRUE(Find("GET", "/api/v1/label//values").allow.empty());
}

TEST(RouterTest, EveryRowOfTheCatalogueIsFoundAndDocumented) {
  const Router router(RouteCatalogue());
  for (const Route& route : RouteCatalogue()) {
    const auto parts = DecodePath(route.path);
    ASSERT_TRUE(parts) << route.path;
    const auto method = route.methods.substr(0, route.methods.find(' '));
    EXPECT_EQ(router.Find(method, *parts).route, &route) << route.methods << " " << route.path;
    EXPECT_FALSE(route.doc.empty()) << route.path;
    EXPECT_NE(route.handler, nullptr) << route.path;
  }
}

}  // namespace
}  // namespace faultline
