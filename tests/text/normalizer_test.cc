#include "text/normalizer.h"

#include <gtest/gtest.h>
#include <utf8proc.h>

#include <cstdlib>
#include <memory>

#include "base/rng.h"
#include "support/fault.h"
#include "text/unicode_forms.h"
#include "text/utf8.h"

namespace sambay {
namespace {

using Kind = NormalizerStep::Kind;

std::string normalized(const std::vector<NormalizerStep>& steps, std::string_view text) {
  std::string storage;
  return std::string(Normalizer(steps, "test").apply(text, storage));
}

NormalizerStep replace(std::string pattern, bool is_regex, std::string content) {
  return {.kind = Kind::replace,
          .pattern = std::move(pattern),
          .is_regex = is_regex,
          .content = std::move(content)};
}

// What utf8proc makes of a whole text.
std::string by_utf8proc(UnicodeForm form, const std::string& text) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.c_str());
  utf8proc_uint8_t* made = form == UnicodeForm::nfc    ? utf8proc_NFC(bytes)
                           : form == UnicodeForm::nfd  ? utf8proc_NFD(bytes)
                           : form == UnicodeForm::nfkc ? utf8proc_NFKC(bytes)
                                                       : utf8proc_NFKD(bytes);
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> freed(made, &std::free);
  return reinterpret_cast<const char*>(made);
}

TEST(UnicodeForms, PartsOfATextGiveWhatTheWholeDoes) {
  Rng rng(1);
  const auto any_of = [&](uint32_t first, uint32_t last) {
    return first + static_cast<uint32_t>(rng.below(last - first + 1));
  };
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (uint64_t i = rng.below(8); i > 0; --i) {
      switch (rng.below(6)) {
        case 0:
          append_utf8(text, any_of('a', 'f'));
          break;
        case 1:
          append_utf8(text, any_of(0xc0, 0x17f));
          break;
        case 2:
          append_utf8(text, any_of(0x300, 0x36f));
          break;
        case 3:
          append_utf8(text, any_of(0x1100, 0x11ff));
          break;
        case 4:
          append_utf8(text, any_of(0xac00, 0xd7a3));
          break;
        default:
          append_utf8(text, any_of(0x80, 0xd7ff));
          break;
      }
    }
    if (text.find("\u11a7") != std::string::npos) {
      continue;  // utf8proc 2.8 drops it behind a syllable
    }
    for (const auto form :
         {UnicodeForm::nfc, UnicodeForm::nfd, UnicodeForm::nfkc, UnicodeForm::nfkd}) {
      std::string out;
      const bool changed = to_form(form, text, out);
      ASSERT_EQ(changed ? out : text, by_utf8proc(form, text)) << text;
      ASSERT_EQ(changed, by_utf8proc(form, text) != text) << text;
    }
  }
}

TEST(UnicodeForms, BytesThatAreNotUtf8PartTheTextAndStay) {
  std::string out;
  EXPECT_TRUE(to_form(UnicodeForm::nfc, "e\u0301\xff\u0301 e\xc3", out));
  EXPECT_EQ(out, "\u00e9\xff\u0301 e\xc3");
  EXPECT_FALSE(to_form(UnicodeForm::nfc, "e\xff\u0301\xf0\x9f", out));
  EXPECT_FALSE(to_form(UnicodeForm::nfkc, "\xed\xa0\x80", out));
}

TEST(UnicodeForms, ASyllableDoesNotSwallowWhatIsNoFinal) {
  EXPECT_EQ(normalized({{.kind = Kind::nfc}}, "\uac00\u11a7"), "\uac00\u11a7");
  EXPECT_EQ(normalized({{.kind = Kind::nfc}}, "\u1100\u1161\u11a8"), "\uac01");
}

TEST(UnicodeForms, AMillionMarksTakeNoQuadraticTime) {
  std::string marks, above, below;
  for (int i = 0; i < 500'000; ++i) {
    marks += "\u0301\u0323";
    above += "\u0301";
    below += "\u0323";
  }
  EXPECT_TRUE(normalized({{.kind = Kind::nfd}}, "a" + marks) == "a" + below + above);
}

TEST(Normalizer, WithoutAChangeTheTextIsGivenBack) {
  const Normalizer normalizer(
      {{.kind = Kind::nfc}, replace("x", false, "y"), {.kind = Kind::strip_accents}}, "test");
  const std::string text = "Voil\u00e0 \uac00 \xff";
  std::string storage;
  EXPECT_EQ(normalizer.apply(text, storage).data(), text.data());
  EXPECT_EQ(Normalizer({}, "test").apply(text, storage).data(), text.data());
}

TEST(Normalizer, StepsFollowOneAnother) {
  const std::vector<NormalizerStep> steps = {{.kind = Kind::nfd},
                                             {.kind = Kind::strip_accents},
                                             {.kind = Kind::lowercase},
                                             {.kind = Kind::strip, .strip_left = true},
                                             {.kind = Kind::prepend, .content = "> "}};
  EXPECT_EQ(normalized(steps, " \u3000\u00c9T\u00c9 \u0391\u03a3 "), "> ete \u03b1\u03c3 ");
  EXPECT_EQ(normalized(steps, "\u3000"), "");
  EXPECT_EQ(normalized({{.kind = Kind::strip, .strip_right = true}}, " a\xff \n"), " a\xff");
}

TEST(Normalizer, ReplacementsAreLiteral) {
  EXPECT_EQ(normalized({replace("aa", false, "$0a")}, "aaaaa"), "$0a$0aa");
  EXPECT_EQ(normalized({replace("(a)+", true, "$1")},
                       "baab\xff"
                       "a"),
            "b$1b\xff$1");
  EXPECT_EQ(normalized({replace("\\s+", true, "")}, " a\u3000\n b "), "ab");
}

// As the library does, tried there.
TEST(Normalizer, EmptyMatchesCountUnlessBehindAnother) {
  EXPECT_EQ(normalized({replace("x*", true, "-")}, "aXx\u00e9 ba"), "-a-X-\u00e9- -b-a-");
  EXPECT_EQ(normalized({replace("a?", true, "-")}, "aa"), "--");
  EXPECT_EQ(normalized({replace("$", true, "-")}, "\nab\n a1"), "-\nab-\n a1-");
  EXPECT_EQ(normalized({replace("^", true, "-")}, ""), "");
}

TEST(Normalizer, FaultsAreNamed) {
  EXPECT_EQ(testing::fault([] { normalized({replace("(", true, "")}, ""); }),
            "[test] normalizer pattern \"(\": missing closing parenthesis");
  const std::vector<NormalizerStep> doubling(60, replace("a", false, "aa"));
  EXPECT_EQ(testing::fault([&] { normalized(doubling, "a"); }),
            "[tokenizer] normalizer pattern \"a\" makes the text longer than 1048640 bytes");
}

}  // namespace
}  // namespace sambay
