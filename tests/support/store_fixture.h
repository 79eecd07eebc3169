// A real store in a folder of its own, and the few calls that all store tests make.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <future>
#include <memory>
#include <string>

#include "aggregator/store/store.h"

namespace faultline {

class StoreFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "faultline_store_XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    options_.folder = folder_ + "/store";
    Open();
  }
  void TearDown() override {
    store_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  void Open() {
    auto store = OpenRocksDbStore(options_, &clock_);
    ASSERT_TRUE(store) << store.error().message;
    store_ = *std::move(store);
  }
  void Reopen() {
    store_.reset();
    Open();
  }
  SeriesId Series(Labels labels) {
    SortLabels(labels);
    return store_->InternSeries(labels, {}).value();
  }
  Result<void> Append(AppendBatch batch) {
    std::promise<Result<void>> promise;
    store_->Append(std::move(batch),
                   [&](Result<void> result) { promise.set_value(std::move(result)); });
    return promise.get_future().get();
  }
  Result<void> AppendSamples(std::vector<AppendBatch::SampleRow> rows) {
    AppendBatch batch;
    batch.samples = std::move(rows);
    return Append(std::move(batch));
  }
  std::vector<Sample> All(SeriesId series) {
    auto samples = store_->Fetch(series, INT64_MIN, INT64_MAX);
    EXPECT_TRUE(samples) << samples.error().message;
    return samples.value_or(std::vector<Sample>());
  }

  SystemClock clock_;
  StoreOptions options_;
  std::string folder_;
  std::unique_ptr<Store> store_;
};

}  // namespace faultline
