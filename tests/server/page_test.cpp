// The files of the page, and its Content-Security-Policy.
#include "server/http/page.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace ws {
namespace {

PageFile file_at(std::string_view path) {
  const auto file = std::ranges::find(page_files(), path, &PageFile::path);
  EXPECT_NE(file, page_files().end()) << path;
  return file == page_files().end() ? PageFile{} : *file;
}

TEST(Page, HasThreeFilesWithTheirContentTypes) {
  EXPECT_EQ(page_files().size(), 3U);
  const PageFile html = file_at("/");
  EXPECT_EQ(html.content_type, "text/html; charset=utf-8");
  EXPECT_TRUE(html.body.starts_with("<!doctype html>")) << html.body;
  EXPECT_TRUE(html.body.ends_with("</html>\n")) << html.body;
  const PageFile css = file_at("/page.css");
  EXPECT_EQ(css.content_type, "text/css; charset=utf-8");
  EXPECT_TRUE(css.body.starts_with(":root {")) << css.body;
  const PageFile script = file_at("/page.js");
  EXPECT_EQ(script.content_type, "text/javascript; charset=utf-8");
  EXPECT_TRUE(script.body.starts_with("'use strict';")) << script.body;
}

TEST(Page, LoadsOnlyItsOwnFiles) {
  const std::string_view html = file_at("/").body;
  for (const std::string_view yes :
       {"<link rel=\"stylesheet\" href=\"page.css\">", "<script src=\"page.js\" defer></script>"}) {
    EXPECT_NE(html.find(yes), std::string_view::npos) << yes;
  }
  for (const std::string_view no : {"<style", "<script>", " onclick=", " style="})
    EXPECT_EQ(html.find(no), std::string_view::npos) << no << " is not allowed by the policy";
  for (const PageFile& file : page_files()) {
    for (const std::string_view no :
         {"http://", "https://", "@import", "url(", "innerHTML", "eval("}) {
      EXPECT_EQ(file.body.find(no), std::string_view::npos) << file.path << ": " << no;
    }
  }
}

TEST(Page, AllowsOnlyItsOwnScriptsAndStylesInItsPolicy) {
  const std::string policy(kPagePolicy);
  EXPECT_TRUE(policy.starts_with("default-src 'none'; ")) << policy;
  EXPECT_NE(policy.find("; script-src 'self'; style-src 'self'; "), std::string::npos) << policy;
  EXPECT_EQ(policy.find("unsafe"), std::string::npos) << policy;
}

}  // namespace
}  // namespace ws
