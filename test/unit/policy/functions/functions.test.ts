import { describe, expect, test } from 'vitest';
import { Language } from './evaluate.ts';

const language = new Language();

/** An expression, and the code of its error, what is wrong with it, or what it comes to (default: true). */
type Row = string | readonly [expression: string, expected: unknown];

const table = (name: string, rows: readonly Row[]) =>
  describe(name, () => {
    const pairs = rows.map((row) => (typeof row === 'string' ? ([row, true] as const) : row));
    test.each(pairs)('%s → %s', (expression, expected) => {
      const came = language.run(expression);
      if (typeof expected === 'string' && typeof came === 'string') expect(came).toContain(expected);
      else expect(came).toBe(expected);
    });
  });

const bad = (...expressions: string[]): Row[] => expressions.map((expression) => [expression, 'invalid_argument']);
const outside = (...expressions: string[]): Row[] =>
  expressions.map((expression) => [expression, 'index_out_of_bounds']);
const overflows = (...expressions: string[]): Row[] =>
  expressions.map((expression) => [expression, 'numeric_overflow']);

table('characters', [
  '"tacocat".charAt(3) == "o" && "tacocat".charAt(7) == ""',
  '"\u{1f600}x".charAt(0) == "\u{1f600}" && "\u{1f600}x".charAt(1) == "x"',
  ...outside('"tacocat".charAt(30) == ""', '"tacocat".charAt(-1) == ""', '"\u{1f600}".charAt(2) == ""'),
  '"hello mellow".indexOf("") == 0 && "hello mellow".indexOf("ello", 2) == 7 && "hello mellow".indexOf("jello") == -1',
  '"\u{1f600}ab".indexOf("b") == 2 && "\u{1f600}ab".indexOf("b", 2) == 2 && "ab".indexOf("b", 2) == -1',
  ...outside('"abc".indexOf("", 4) == 0', '"abc".indexOf("a", -1) == 0', '"abc".lastIndexOf("a", -1) == 0'),
  '"hello mellow".lastIndexOf("") == 12 && "hello mellow".lastIndexOf("ello") == 7',
  '"hello mellow".lastIndexOf("ello", 6) == 1 && "\u{1f600}aa".lastIndexOf("a") == 2',
  '"tacocat".substring(4) == "cat" && "tacocat".substring(0, 4) == "taco" && "ta©o©αT".substring(2, 6) == "©o©α"',
  ...outside('"abc".substring(2, 1) == ""', '"abc".substring(0, 4) == ""', '"abc".substring(-1) == ""'),
  '"gums".reverse() == "smug" && "a\u{1f600}".reverse() == "\u{1f600}a" && "".reverse() == ""',
  '" \\t\\u0085trim\\u2003\\n ".trim() == "trim" && "\\ufeffx".trim() == "\\ufeffx" && "   ".trim() == ""',
]);

table('split, join and replace', [
  '"hello hello".replace("he", "we") == "wello wello" && "hello hello".replace("he", "we", -1) == "wello wello"',
  '"hello hello".replace("he", "we", 1) == "wello hello" && "hello hello".replace("he", "we", 0) == "hello hello"',
  '"hello hello".replace("", "_") == "_h_e_l_l_o_ _h_e_l_l_o_" && "ab".replace("", "_", 2) == "_a_b" && "".replace("", "x") == "x"',
  '"aaa".replace("aa", "b") == "ba" && "abc".replace("x", "y") == "abc" && "abc".replace("b", "") == "ac"',
  '"hello hello".split(" ") == ["hello", "hello"] && "a b c".split(" ", 2) == ["a", "b c"] && "a b".split(" ", -1) == ["a", "b"]',
  '"a b".split(" ", 0) == [] && "a b".split(" ", 1) == ["a b"] && "".split(",") == [""]',
  '"\u{1f600}b".split("") == ["\u{1f600}", "b"] && "abc".split("", 2) == ["a", "bc"]',
  '[].join() == "" && ["x"].join("-") == "x" && ["a", "", "b"].join("-") == "a--b"',
  ['[1, 2].join()', "no 'list<int>.join()'; there are: list<string>.join(): string, list<string>.join(string): string"],
  ['dyn([dyn("a"), dyn(1)]).join()', 'invalid_argument'],
]);

table('format', [
  '"%s %s %s %s".format(["a", 1, 2.5, true]) == "a 1 2.5 true"',
  '"%s".format([null]) == "null" && "%s".format([7u]) == "7" && "%s".format([b"ab"]) == "ab"',
  '"%s".format([timestamp("2026-01-15T12:30:00.5Z")]) == "2026-01-15T12:30:00.5Z"',
  '"%s".format([duration("90m")]) == "5400s" && "%s".format([{"b": dyn([1]), "a": dyn(2)}]) == "{a: 2, b: [1]}"',
  '"%d %d".format([-5, 7u]) == "-5 7" && "%f".format([1.0]) == "1.000000" && "%.0f|%.3f".format([2.5, 1]) == "3|1.000"',
  '"%f".format([1.0 / 0.0]) == "Infinity" && "%.1f".format([1e22]) == "10000000000000000000000.0"',
  '"%.2e %e".format([1234.5, 1.0e-20]) == "1.23e+03 1.000000e-20"',
  '"%b %b %b".format([5, -5, true]) == "101 -101 1" && "%o".format([8u]) == "10"',
  '"%x %X".format(["az", b"\\xff"]) == "617a FF" && "%x".format([-255]) == "-ff"',
  '"100%%".format([]) == "100%"',
  ...bad(
    '"%s %s".format(["a"]) == ""',
    '"%s".format(["a", "b"]) == ""',
    '"%d".format(["a"]) == ""',
    '"%d".format([1.5]) == ""',
    '"%q".format([1]) == ""',
    '"%".format([]) == ""',
    '"%.200f".format([1.0]) == ""',
    '"%s".format([request]) == ""',
    '"%b".format(["a"]) == ""',
  ),
  ['"%s".format("a") == "a"', "no 'string.format(string)'"],
]);

table('patterns', [
  '"abc abc".find("b.") == "bc" && "abc".find("z*") == "" && "aXbX".find("(?i)x$") == "X"',
  '"a1b22c333".findAll("[0-9]+") == ["1", "22", "333"] && "a1b22".findAll("[0-9]+", 1) == ["1"] && "a1".findAll("[0-9]", 0) == []',
  '"foo bar".findAll("\\\\b\\\\w") == ["f", "b"] && "x\\ny".findAll("(?m)^.") == ["x", "y"]',
  '"aab".findAll("a*") == ["aa", ""] && "\u{1f600}\u{1f601}".findAll(".") == ["\u{1f600}", "\u{1f601}"]',
  '"ab".find("a|ab") == "a" && "ab".find("ab|a") == "ab" && "aaa".find("a+?") == "a"',
  '"x".matches("") && matches("x", "^x$") && "Straße".matches("(?i)^STRA.E$")',
  ['"x".find("(?=x)") == ""', 'not a pattern (RE2 syntax)'],
  ['"x".findAll("(") == []', 'not a pattern (RE2 syntax)'],
  ...bad('"x".find("(" + request.model) == ""', '"x".matches(request.model + "\\\\1")'),
]);

table('glob and normalize', [
  'glob("*", "") && glob("", "") && !glob("", "a") && glob("a*b*c", "a//b/c") && !glob("a*b", "abc")',
  'glob("?", "\u{1f600}") && !glob("?", "") && glob("a?c", "abc") && !glob("a?c", "ac") && glob("*?", "x") && !glob("*?", "")',
  'glob("ab*ba", "abba") && !glob("ab*ba", "aba") && glob("a.c", "a.c") && !glob("a.c", "abc") && !glob("A", "a")',
  'normalize("\\u200bpass\\u00adword\\u2060") == "password" && normalize("ＰＡＳＳ") == "pass" && normalize("ﬁ") == "fi"',
  'normalize("ẞ") == "ss" && normalize("ſ") == "s" && normalize("ς") == "σ" && normalize("Ö") == normalize("O\\u0308")',
  'normalize("İ") == "i\\u0307" && normalize("ı") == "ı" && normalize("I") == "i"',
  'normalize(normalize("Ǆ\\u034f ㎏")) == normalize("Ǆ\\u034f ㎏")',
]);

table('lists and sets', [
  '[1, 2, 2].isSorted() && !["b", "a"].isSorted() && [].isSorted() && [duration("1s"), duration("2s")].isSorted()',
  '[1, 2, 3].sum() == 6 && [1.5, 2.5].sum() == 4.0 && [1u, 2u].sum() == 3u && ["x"].filter(s, s == "y").map(s, 1).sum() == 0',
  '[3, 1].min() == 1 && ["b", "a"].max() == "b" && [timestamp(2), timestamp(1)].min() == timestamp(1)',
  '[1, 2, 1].indexOf(1) == 0 && [1, 2, 1].lastIndexOf(1) == 2 && [[1], [2]].indexOf([2]) == 1',
  ...bad('[1].filter(x, x > 1).max() == 1', 'dyn([dyn("a"), dyn(1)]).max() == 1', '[0.0 / 0.0].max() == 1.0'),
  ...overflows('[9223372036854775807, 1].sum() == 0'),
  ['["a"].sum() == 1', "no 'list<string>.sum()'"],
  ['[1].indexOf("a") == 0', "no 'list<int>.indexOf(string)'"],
  'sets.contains([1, 2, 3], [3, 1]) && !sets.contains([1], [2]) && sets.contains([], []) && sets.contains([[1], [2]], [[2]])',
  'sets.equivalent([1, 1, 2], [2, 1]) && !sets.equivalent([1], [1, 2]) && sets.equivalent(["a"], ["a", "a"])',
  'sets.intersects(["a"], ["b", "a"]) && !sets.intersects(["a"], []) && !sets.intersects([1], [2])',
  'sets.contains([dyn(1), dyn("a")], [dyn(1), dyn(1.0)])',
]);

table('numbers', [
  'math.greatest(1, 2, 3, 4) == 4 && math.least(1.5) == 1.5 && math.least([2u, 1u]) == 1u && math.greatest([1]) == 1',
  ...bad('math.greatest([1].filter(x, false)) == 1'),
  ['math.greatest(1, 2.0) == 2', "no 'math.greatest(int, double)'"],
  'math.abs(-5) == 5 && math.abs(5u) == 5u && math.abs(-1.5) == 1.5',
  ...overflows('math.abs(-9223372036854775807 - 1) == 1', '-(-9223372036854775807 - 1) > 0'),
  ...overflows('(-9223372036854775807 - 1) / -1 > 0', '9223372036854775807 + 1 > 0', '9223372036854775807 * 2 > 0'),
  ...overflows('-9223372036854775807 - 2 < 0', '18446744073709551615u + 1u > 0u', '0u - 1u == 0u', 'int(9.3e18) > 0'),
  ...overflows('int(18446744073709551615u) > 0', 'int("9223372036854775808") > 0'),
  'math.round(0.5) == 1.0 && math.round(-0.5) == -1.0 && math.round(0.49999999999999994) == 0.0 && math.round(2.4) == 2.0',
  'math.ceil(-1.2) == -1.0 && math.floor(1.8) == 1.0 && math.trunc(1.8) == 1.0 && math.sign(-2.5) == -1.0 && math.sign(0u) == 0u',
  'math.bitAnd(5u, 3u) == 1u && math.bitNot(0u) == 18446744073709551615u && math.bitXor(-1, 0) == -1',
  'math.bitShiftLeft(1, 63) < 0 && math.bitShiftLeft(1, 64) == 0 && math.bitShiftRight(-1024, 3) == 2305843009213693824',
  ...bad('math.bitShiftLeft(1, -1) == 0'),
  'math.isNaN(0.0 / 0.0) && math.isInf(-1.0 / 0.0) && math.isFinite(0.0)',
  ['1 / 0 == 1', 'division_by_zero'],
  ['1 % 0 == 1', 'modulo_by_zero'],
]);

table('conversions', [
  'int("007") == 7 && int("-0") == 0 && int(-2.9) == -2 && uint("5") == 5u && double("-1.5E3") == -1500.0 && double(".5") == 0.5',
  'math.isInf(double("-inf")) && math.isNaN(double("NaN")) && bool("False") == false',
  ...bad(
    'int("") == 0',
    'int("0x10") == 16',
    'int("0b1") == 1',
    'int(" 1") == 1',
    'int("1_0") == 10',
    'int("1.0") == 1',
  ),
  ...bad(
    'double("") == 0.0',
    'double("0x10") == 16.0',
    'double("1 ") == 1.0',
    'double("--1") == 1.0',
    'int(0.0 / 0.0) == 0',
  ),
  ...bad('uint("") == 0u', 'string(b"\\xff") == ""'),
  ['uint(-1) == 0u', 'numeric_overflow'],
  ['bool("yes")', 'bool_conversion_error'],
  'string(1.0) == "1" && string(true) == "true" && string(-3) == "-3" && string(ip("::1")) == "::1"',
  'string(timestamp("2026-01-15T12:30:00Z")) == "2026-01-15T12:30:00Z" && string(duration("-1.5s")) == "-1.5s"',
  'int(timestamp("1969-12-31T23:59:59.5Z")) == -1 && type([1]) == list && type({}) == map && type(null) != int',
]);

table('time', [
  'duration("1h30m10.5s") == duration("5410500ms") && duration("-1m") == duration("-60s") && duration("0") == duration("0s")',
  'duration("-0.5s") + duration("-0.6s") == duration("-1.1s") && duration("1s") - duration("1.5s") == duration("-500ms")',
  'timestamp("2026-01-15T00:00:00.001Z") - timestamp("2020-01-15T00:00:00Z") == duration("52608h0.001s")',
  'now + duration("-0.5s") < now && now + duration("1h") - now == duration("1h") && now + duration("1h") > now',
  ['duration("1h") + now > now', "no 'google.protobuf.Duration > google.protobuf.Timestamp'"],
  ['type(duration("1h") + now) == string', "no 'duration + timestamp'; write the timestamp first"],
  'duration("1h") > duration("59m") && duration("1.5us") > duration("1us")',
  ...bad('duration("") == duration("0s")', 'duration("1") == duration("1s")', 'duration("1d") == duration("24h")'),
  ...bad('duration("h") == duration("1h")', 'duration("1h ") == duration("1h")', 'duration(".s") == duration("1s")'),
  ...overflows('duration("99999999h") > duration("1s")', 'timestamp("9999-12-31T23:59:59Z") + duration("1h") > now'),
  ...overflows('timestamp("0001-01-01T00:00:00Z") - duration("1s") < now'),
  ...overflows('timestamp("0000-12-31T00:00:00Z") < now'),
  ...bad('timestamp("2026-01-15 12:00:00Z") < now', 'timestamp("2026-13-01T00:00:00Z") < now', 'timestamp(" ") < now'),
]);

table('maps', [
  '{"__proto__": 1}["__proto__"] == 1 && {"constructor": 1}.constructor == 1 && size({"__proto__": 1}) == 1',
  '!("constructor" in {"a": 1}) && !("__proto__" in {})',
  '{1: "a", 2: "b"}[2] == "b" && 1 in {1: "a"} && {true: 1}[true] == 1 && {1: 2} == {1: 2} && {"a": 1} != {"b": 1}',
  '{"b": 1, "a": 2}.exists(k, k == "a") && {1: "x"}.all(k, k == 1)',
  ['{"a": 1}.constructor == 1', 'no_such_key'],
  ['{"a": 1}["toString"] == 1', 'no_such_key'],
  ['{1.5: 1}[1.5] == 1', 'keys of maps are strings, ints or bools, these are of type double'],
  ['{1u: 1}[1u] == 1', 'keys of maps are strings, ints or bools, these are of type uint'],
  ['{dyn(1.5): 1}[dyn(1.5)] == 1', 'invalid_argument'],
  ['{"a": 1, "a": 2}.a == 1', 'invalid_argument'],
  ['request.constructor == 1', "unknown variable 'request.constructor'"],
  ['request["__proto__"] == 1', "unknown variable 'request.__proto__'"],
  ['request[request.model] == 1', 'no_such_key'],
  ['caller.toString() == ""', "unknown function 'toString'"],
]);

table('addresses', [
  'isIP("10.0.0.1") && isIP("::") && isIP("2001:db8::1") && !isIP("10.0.0.01") && !isIP("1.2.3") && !isIP("fe80::1%eth0")',
  '!isIP("::ffff:10.0.0.1") && !isIP("") && !isIP(" 10.0.0.1") && !isIP("0x7f.1") && !isIP("2130706433")',
  'ip("2001:DB8::1") == ip("2001:db8:0:0:0:0:0:1") && string(ip("2001:DB8:0::1")) == "2001:db8::1" && ip("1.1.1.1") != ip("1.1.1.2")',
  'ip("1.2.3.4") in [ip("1.2.3.4")] && sets.intersects([ip("::1")], [ip("::1")])',
  ...bad('ip("x") == ip("::1")', 'ip("::ffff:10.0.0.1").family() == 6', 'cidr("10.0.0.0").prefixLength() == 8'),
  ...bad('cidr("10.0.0.0/8").containsIP("x")', 'cidr("10.0.0.0/8").containsCIDR("10.0.0.0")', 'ip.isCanonical("x")'),
  'cidr("10.0.0.0/8").containsIP("10.255.255.255") && !cidr("10.0.0.0/8").containsIP("11.0.0.0") && cidr("0.0.0.0/0").containsIP("1.2.3.4")',
  '!cidr("0.0.0.0/0").containsIP("::1") && !cidr("::/0").containsIP("1.2.3.4") && cidr("::/0").containsIP("::1")',
  'cidr("10.1.2.3/16").containsIP("10.1.9.9") && cidr("10.1.2.3/16").masked() == cidr("10.1.0.0/16") && cidr("10.1.2.3/16") != cidr("10.1.0.0/16")',
  'cidr("2001:db8::/33").containsIP("2001:db8:7fff::1") && !cidr("2001:db8::/33").containsIP("2001:db8:8000::1")',
  'cidr("10.0.0.0/8").containsCIDR("10.0.0.0/8") && !cidr("10.0.0.0/9").containsCIDR("10.0.0.0/8")',
  '!isCIDR("10.0.0.0/08") && !isCIDR("10.0.0.0/-1") && !isCIDR("::/129") && isCIDR("::/128") && !isCIDR("::ffff:1.2.3.4/120")',
  'ip("fe80::1").isLinkLocalUnicast() && ip("febf::1").isLinkLocalUnicast() && !ip("fec0::1").isLinkLocalUnicast()',
  'ip("ff02::1").isLinkLocalMulticast() && ip("::1").isLoopback() && !ip("::2").isLoopback() && ip("0.0.0.0").isUnspecified()',
  'ip("192.168.0.1").isGlobalUnicast() && !ip("255.255.255.255").isGlobalUnicast() && !ip("127.0.0.1").isGlobalUnicast()',
  [
    'cidr("10.0.0.0/8").containsIP(1)',
    "no 'CIDR.containsIP(int)'; there are: CIDR.containsIP(IP): bool, CIDR.containsIP(string): bool",
  ],
  ['ip("::1") == "::1"', "no 'IP == string'"],
]);

table('versions', [
  'semver("1.0.0-alpha").isLessThan(semver("1.0.0-alpha.1")) && semver("1.0.0-alpha.9").isLessThan(semver("1.0.0-alpha.10"))',
  'semver("1.2.3").compareTo(semver("1.2.3")) == 0 && semver("2.0.0").compareTo(semver("1.9.9")) == 1',
  'semver("1.2.3+a") == semver("1.2.3+b") && semver("1.2.3") != semver("1.2.4") && string(semver("1.2.3+a")) == "1.2.3+a"',
  'isSemver("0.0.0") && !isSemver("1.2.3.4") && !isSemver("01.2.3") && !isSemver(" 1.2.3") && !isSemver("=1.2.3") && !isSemver("")',
  ...bad('semver("v1.0.0").major() == 1', 'semver("1").major() == 1', 'semver("1.0.0-").major() == 1'),
]);

table('quantities', [
  'quantity("1Ki") == quantity("1024") && quantity("0.5Ki") == quantity("512") && quantity("1Ei") == quantity("1152921504606846976")',
  'quantity("1e3") == quantity("1k") && quantity("1E3") == quantity("1k") && quantity("1E") == quantity("1e18") && quantity("12e-1") == quantity("1.2")',
  'quantity("1n").isLessThan(quantity("1u")) && quantity("-1").isLessThan(quantity("0")) && quantity("+.5") == quantity("500m")',
  'quantity("0.1").add(quantity("0.2")) == quantity("0.3") && quantity("1").sub(2).sign() == -1 && quantity("0").sign() == 0',
  'quantity("9223372036854775807").isInteger() && !quantity("9223372036854775808").isInteger() && quantity("5.").asInteger() == 5',
  'quantity("0.1").asApproximateFloat() == 0.1 && quantity("1Gi").asApproximateFloat() == 1073741824.0',
  '!isQuantity("") && !isQuantity("1 Gi") && !isQuantity("1gi") && !isQuantity("1KI") && !isQuantity("Ki") && !isQuantity("1e") && !isQuantity(".")',
  ...bad(
    'quantity("1.5").asInteger() == 1',
    'quantity("100E").asInteger() == 1',
    'quantity("x").sign() == 0',
    'quantity("1e999").sign() == 1',
  ),
]);
