#!/usr/bin/env python3
"""Writes src/text/unicode_case_table.h from the Unicode data of the Python that runs it.

  tools/unicode_case.py > src/text/unicode_case_table.h
"""
import unicodedata

CONVERSIONS = {"upper": str.upper, "lower": str.lower, "title": str.title}


def code_points():
    return (c for c in range(0x80, 0x110000) if not 0xD800 <= c < 0xE000)


def ranges(convert):
    """[first, last, step, delta] of the code points that become one other code point."""
    found = []
    for c in code_points():
        to = convert(chr(c))
        if len(to) != 1 or ord(to) == c:
            continue
        delta = ord(to) - c
        if found and found[-1][3] == delta:
            first, last, step, _ = found[-1]
            if c - last == step or (first == last and c - last == 2):
                found[-1] = [first, c, c - last, delta]
                continue
        found.append([c, c, 1, delta])
    return found


def expansions(convert):
    return [(c, convert(chr(c))) for c in code_points() if len(convert(chr(c))) > 1]


def in_lines(entries):
    lines, line = [], "   "
    for entry in entries:
        if len(line) + len(entry) + 2 > 100:
            lines.append(line)
            line = "   "
        line += f" {entry},"
    return "\n".join([*lines, line])


def main():
    print(f"// Made by tools/unicode_case.py: case mappings of Unicode {unicodedata.unidata_version} beyond ASCII.")
    print("#pragma once\n\n#include <cstdint>\n\nnamespace sambay::unicode {\n")
    print("// Every step-th code point from first to last becomes itself + delta.")
    print("struct CaseRange {\n  uint32_t first, last, step;\n  int32_t delta;\n};")
    print("// A code point that becomes several, in UTF-8.")
    print("struct CaseExpansion {\n  uint32_t from;\n  const char* to;\n};\n")
    print("// clang-format off")
    for name, convert in CONVERSIONS.items():
        rows = [f"{{0x{a:x}, 0x{b:x}, {s}, {d}}}" for a, b, s, d in ranges(convert)]
        print(f"inline constexpr CaseRange {name}_ranges[] = {{\n{in_lines(rows)}\n}};")
        rows = [f'{{0x{c:x}, "{to}"}}' for c, to in expansions(convert)]
        print(f"inline constexpr CaseExpansion {name}_expansions[] = {{\n{in_lines(rows)}\n}};")
    print("// clang-format on\n\n}  // namespace sambay::unicode")


if __name__ == "__main__":
    main()
