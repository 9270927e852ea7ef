import { describe, expect, test } from 'vitest';
import { caller, evaluate, input, nowMs, request } from './fixtures.ts';

/** The spec of the language as rules see it: an expression, and what it comes to. */
type Row = readonly [expression: string, expected: boolean | string];

const holds = (rows: readonly Row[]) =>
  test.each(rows)('%s → %s', (expression, expected) => expect(evaluate(expression)).toBe(expected));

describe('what rules see', () => {
  holds([
    ['caller.provider == "corp" && caller.issuer == "https://id.test" && caller.subject == "jane"', true],
    ['caller.kind == "person" && caller.team == "ml-platform" && caller.email.endsWith("@example.com")', true],
    ['caller.kind != "peer" && caller.proof == "token"', true],
    ['"ml-eng" in caller.groups && !("root" in caller.groups) && size(caller.groups) == 1', true],
    ['request.format == "openai-chat" && request.operation == "chat" && request.model == "demo"', true],
    [
      '!request.stream && request.choices == 1 && request.images == 0 && request.tokens == 4 && request.bytes == 120',
      true,
    ],
    ['request.messages.exists(m, m.role == "user" && m.text == "Hello") && size(request.messages) == 2', true],
    ['request.messages[0].role == "system" && request.text.contains("brief")', true],
    ['request.tools.exists(t, t.name == "run_sql") && request.tools.all(t, t.name != "x")', true],
    [
      'http.method == "POST" && http.host == "gateway.test" && http.path.startsWith("/v1/") && http.clientAddress == "10.0.0.7"',
      true,
    ],
    [
      'model.name == "demo" && model.version == "1" && model.labels.risk == "high" && model.labels["risk"] == "high"',
      true,
    ],
    ['"risk" in model.labels && !("x" in model.labels) && !has(model.labels.x)', true],
    ['now == timestamp("2026-01-15T12:30:00Z") && now - duration("1h") < now', true],
  ]);

  describe('that is not there', () => {
    holds([
      ['has(caller.email)', true],
      ['has(request.maxTokens)', false],
      ['has(request.maxTokens) && request.maxTokens > 100', false],
      ['request.maxTokens > 100', 'no_such_key'],
      ['model.team == "x"', 'no_such_key'],
      ['request.messages[2].text == ""', 'index_out_of_bounds'],
      ['request.findings["email"] > 0', 'no_such_key'],
      ['caller.claims.nothing == 1', 'no_such_key'],
      ['has(caller.claims.nothing)', false],
    ]);
  });

  describe('in the claims', () => {
    holds([
      ['caller.claims.level == 3 && type(caller.claims.level) == int', true],
      ['caller.claims.score == 0.5', true],
      ['caller.claims.org.unit == "research" && caller.claims["org"]["unit"] == "research"', true],
      ['caller.claims.org.constructor == "x"', true],
      ['"a" in caller.claims.tags && 1 in caller.claims.tags', true],
      ['has(caller.claims.constructor) || has(caller.claims.toString) || "constructor" in caller.claims', false],
      ['caller.claims.constructor == "x"', 'no_such_key'],
      ['caller.claims.org.toString == "x"', 'no_such_key'],
    ]);

    test('a null is there', () => {
      const over = { caller: caller({ claims: { gone: null } }) };
      expect(evaluate('has(caller.claims.gone) && caller.claims.gone == null', over)).toBe(true);
    });
  });

  test('findings count by detector and by category', () => {
    const findings = new Map([
      ['email', 2],
      ['phone', 1],
      ['credit_card', 3],
      ['jwt', 0],
    ]);
    expect(evaluate('request.findings["email"] == 2 && request.findings["pii"] == 3', { findings })).toBe(true);
    expect(evaluate('"credit_card" in request.findings && !("secrets" in request.findings)', { findings })).toBe(true);
    expect(evaluate('request.findings.exists(f, f == "jwt")', { findings })).toBe(false);
  });
});

describe('matches', () => {
  holds([
    ['request.model.matches("^de.o$")', true],
    ['request.model.matches("em")', true],
    ['request.messages.exists(m, m.text.matches("(?i)^HELLO$"))', true],
    ['"x".matches(request.model + "(")', 'invalid_argument'],
    ['"x".matches("a" + "{2000}")', 'invalid_argument'],
  ]);

  test('takes linear time on what brings JavaScript to its knees', () => {
    const text = `${'a'.repeat(40_000)}!`;
    const started = performance.now();
    expect(evaluate('request.text.matches("^(a+)+$")', { request: request({ text }) })).toBe(false);
    expect(performance.now() - started).toBeLessThan(1000);
  });
});

describe('case', () => {
  holds([
    ['"ADMIN".lowerAscii() == "admin" && "ädMin".lowerAscii() == "ädmin"', true],
    ['"\u212a".lowerAscii() == "k"', false],
    ['"\u0130".lowerAscii() == "\u0130" && "ß".upperAscii() == "ß" && "straße".upperAscii() == "STRAßE"', true],
  ]);
});

describe('text', () => {
  holds([
    ['size("a\u{1f600}b") == 3 && "a\u{1f600}b".size() == 3 && size("") == 0', true],
    [
      '"a,b,c".split(",") == ["a", "b", "c"] && "a,b,c".split(",", 2) == ["a", "b,c"] && size("a".split(",", 0)) == 0',
      true,
    ],
    ['["a", "b"].join("-") == "a-b"', true],
    ['size({"a": 1}) == 1 && {"a": 1}.size() == 1 && size([1, 2]) == 2 && size(b"abc") == 3', true],
  ]);
});

describe('time', () => {
  holds([
    ['timestamp("2024-02-31T00:00:00Z") < now', 'invalid_argument'],
    ['timestamp("2024-02-29T00:00:00Z").getDate() == 29', true],
    ['timestamp("2023-02-29T00:00:00Z") < now', 'invalid_argument'],
    ['timestamp("2024-01-01T24:00:00Z") < now', 'invalid_argument'],
    ['timestamp("2024-01-01") < now', 'invalid_argument'],
    ['timestamp("2024-01-01T00:00:00+02:00") == timestamp("2023-12-31T22:00:00Z")', true],
    ['timestamp(0) == timestamp("1970-01-01T00:00:00Z")', true],
    ['timestamp(9223372036854775807) > now', 'invalid_argument'],
    ['now.getHours() == 12 && now.getMinutes() == 30 && now.getFullYear() == 2026 && now.getMonth() == 0', true],
    [
      'now.getHours("Europe/Berlin") == 13 && now.getHours("Asia/Kolkata") == 18 && now.getMinutes("Asia/Kolkata") == 0',
      true,
    ],
    ['now.getHours("+02:00") == 14 && now.getHours("-05:30") == 7 && now.getHours("UTC") == 12', true],
    ['now.getDate() == 15 && now.getDayOfMonth() == 14 && now.getDayOfWeek() == 4 && now.getDayOfYear() == 14', true],
    ['now.getDate("Pacific/Kiritimati") == 16 && now.getDayOfWeek("Pacific/Kiritimati") == 5', true],
    [
      'timestamp("2026-12-31T23:30:00Z").getDayOfYear() == 364 && timestamp("2026-12-31T23:30:00Z").getDayOfYear("+01:00") == 0',
      true,
    ],
    ['timestamp("2026-03-29T01:30:00Z").getHours("Europe/Berlin") == 3', true],
    ['duration("90m").getMinutes() == 90', true],
    ['now.getHours(caller.subject) == 1', 'invalid_argument'],
    ['now.getHours("+25:" + "00") == 1', 'invalid_argument'],
  ]);
});

describe('an expression that costs too much is an error, whatever it comes to', () => {
  const many = (count: number) => ({
    request: request({ messages: Array.from({ length: count }, (_, i) => ({ role: 'user', text: `text ${i}` })) }),
  });
  test.each([
    'request.messages.all(a, request.messages.all(b, a.text != b.text || a.text == b.text))',
    'request.messages.all(a, request.messages.all(b, a.text != "")) || true',
    'true || request.messages.all(a, request.messages.all(b, true))',
    'request.messages.exists(a, request.messages.exists(b, request.messages.exists(c, false)))',
    'request.messages.exists_one(a, request.messages.all(b, true))',
    'size(request.messages.map(a, request.messages.map(b, b.text))) >= 0',
    'size(request.messages.filter(a, request.messages.filter(b, true) != [])) >= 0',
    'request.messages.all(a, !(a.text in request.messages.map(b, b.role)))',
    'cel.bind(all, request.messages, all.all(a, a in all))',
    'request.messages.all(a, size(request.messages + request.messages) > 0)',
    'request.messages.all(a, request.messages == request.messages)',
    'cel.bind(t, request.messages.map(m, m.text), t.all(a, size(t.join("")) > 0 && t.all(b, true)))',
  ])('%s', (expression) => {
    const started = performance.now();
    expect(evaluate(expression, many(600))).toBe(expression.startsWith('true ||') ? true : 'budget_exceeded');
    expect(performance.now() - started).toBeLessThan(1000);
  });

  test('a text that doubles twenty times', () => {
    let expression = 'size(t20) > 0';
    for (let i = 20; i > 0; i -= 1) expression = `cel.bind(t${i}, t${i - 1} + t${i - 1}, ${expression})`;
    const over = { request: request({ text: 'x'.repeat(1000) }) };
    expect(evaluate(`cel.bind(t0, request.text, ${expression})`, over)).toBe('text_too_long');
  });

  test('a few patterns, a split, or many looks at a long text', () => {
    const over = { request: request({ text: 'a b '.repeat(60_000) }) };
    expect(evaluate('request.text.matches("z$")', over)).toBe(false);
    expect(evaluate('["x$", "y$", "z$"].exists(p, request.text.matches(p))', over)).toBe('budget_exceeded');
    expect(evaluate('size(request.text.split(" ")) > 1', over)).toBe('budget_exceeded');
    expect(evaluate('request.text.contains("z")', over)).toBe(false);
    expect(evaluate(Array.from({ length: 60 }, (_, i) => `request.text.contains("z${i}")`).join(' || '), over)).toBe(
      'budget_exceeded',
    );
  });

  test('does not spoil the next one', () => {
    const over = many(600);
    expect(evaluate('request.messages.all(a, a.role == "user")', over)).toBe(true);
    expect(evaluate('request.messages.all(a, a.role == "user")', over, 599)).toBe('budget_exceeded');
    expect(evaluate('request.messages.all(a, a.role == "user")', over, 100_000)).toBe(true);
  });
});

test('dates and times do not depend on the zone of this machine', () => {
  const before = process.env['TZ'];
  try {
    for (const zone of ['America/New_York', 'Asia/Tokyo']) {
      process.env['TZ'] = zone;
      expect(evaluate('now.getDayOfYear() == 14 && now.getHours("Europe/Berlin") == 13', input({ nowMs }))).toBe(true);
    }
  } finally {
    if (before === undefined) delete process.env['TZ'];
    else process.env['TZ'] = before;
  }
});
