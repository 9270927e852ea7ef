import { describe, expect, test } from 'vitest';
import { windowStart } from '../../../src/limits/windows.ts';
import { Backtest } from '../../../src/policy/backtest/backtest.ts';
import type { RecordedSession, Reread } from '../../../src/policy/backtest/recorded.ts';
import type { PolicySet } from '../../../src/policy/decision.ts';
import { demo, nowMs, policy, request, setOf } from './fixtures.ts';

const allowAll = '- {name: all, then: allow}';

let number = 0;
interface Changes {
  readonly request?: Partial<RecordedSession['request']>;
  readonly decision?: Partial<RecordedSession['decision']>;
  readonly findings?: RecordedSession['findings'];
  readonly usedTokens?: number;
  readonly text?: string | undefined;
}
const http = { method: 'POST', host: 'gateway', path: '/v1/chat/completions', clientAddress: '10.0.0.1' };
const asked = (request: Changes['request']): Changes => (request === undefined ? {} : { request });
function session(changes: Changes = {}): RecordedSession {
  const at = nowMs + number++;
  return {
    session: `s${number}`,
    request: {
      at,
      caller: {
        provider: 'okta',
        issuer: 'https://okta',
        subject: 'jane',
        kind: 'person',
        proof: 'token',
        groups: ['eng'],
      },
      http,
      model: 'demo',
      modelVersion: '1',
      format: 'openai-chat',
      operation: 'chat',
      stream: false,
      tokens: 100,
      bytes: 400,
      tools: ['run_sql'],
      toolCall: '',
      choices: 1,
      images: 0,
      audio: 0,
      files: 0,
      ...changes.request,
    },
    findings: 'findings' in changes ? changes.findings : {},
    decision: {
      verdict: 'allow',
      rules: [{ policy: 'test', rule: 'all', mode: 'enforce' }],
      revision: 'sha256:old',
      maskResponse: [],
      ...changes.decision,
    },
    usedTokens: changes.usedTokens,
    text: 'text' in changes ? changes.text : 'hello',
  };
}

/** A body that says what `text` says. */
const reread = async (_: RecordedSession, text: string): Promise<Reread> => ({
  facts: request({ text, messages: [{ role: 'user', text }], parameters: new Map([['temperature', 0.5]]) }),
  filters: new Map(),
});

async function run(set: PolicySet, sessions: readonly RecordedSession[], sinceMs = 0) {
  const backtest = new Backtest({
    set,
    models: [demo],
    sinceMs,
    windowStart,
    reread,
    expand: (name) => (name === 'mails' ? ['email'] : [name]),
  });
  for (const one of sessions) await backtest.add(one);
  return backtest.report();
}
const rules = (...lines: string[]) => setOf({ 'p.yaml': policy(lines.join('\n')) });
const no = (when: string) => `- {name: no, then: deny, when: '${when}'}`;

describe('a backtest', () => {
  test('of the same rules changes nothing', async () => {
    const report = await run(rules(allowAll), [session(), session()]);
    expect(report).toMatchObject({
      sessions: 2,
      unchanged: 2,
      changed: 0,
      unknown: 0,
      masksChanged: 0,
      verdicts: [],
      examples: [],
    });
    expect(report.rules).toEqual([{ rule: 'test/all', before: 2, after: 2, newly: 0, noLonger: 0, unknown: 0 }]);
    expect(report.revisions).toEqual(['sha256:old']);
  });

  test.each([
    [
      'what is on the record',
      'request.tokens > 50 && caller.subject == "jane" && "run_sql" in request.tools.map(t, t.name)',
    ],
    ['the text, where nothing in it was masked', 'request.text == "hello"'],
    ['parameters of such a body', 'request.parameters.temperature > 0.4'],
    ['what was found', '!("credit_card" in request.findings)'],
    ['the time of the request', 'now.getFullYear() == 2026 || now.getFullYear() < 2026'],
  ])('decides by %s', async (_, when) => {
    const report = await run(rules(allowAll, `- {name: no, then: deny, when: '${when}'}`), [session()]);
    expect(report).toMatchObject({ changed: 1, unknown: 0, verdicts: [{ from: 'allow', to: 'deny', sessions: 1 }] });
    expect(report.examples).toMatchObject([
      { session: `s${number}`, caller: 'okta/jane', model: 'demo', by: 'test/no' },
    ]);
  });

  test.each([
    ['text in which something was masked', 'request.text.contains("x")', { findings: { credit_card: 1 } }],
    ['text that was not kept', 'request.text.contains("x")', { text: undefined }],
    ['messages of such a text', 'request.messages.exists(m, m.text == "x")', { findings: { credit_card: 1 } }],
    ['claims', '"x" in caller.claims', {}],
    ['headers', '"x" in http.headers', {}],
    ['what nobody looked for', '"jwt" in request.findings', { findings: undefined }],
    ['it in a variable', 'variables.x', {}],
    [
      'the name of a tool that was masked',
      '"x" in request.tools.map(t, t.name)',
      asked({ tools: ['run', 'call_<US_SSN>'] }),
    ],
    ['one that may have been cut', '"x" in request.tools.map(t, t.name)', asked({ tools: ['n'.repeat(256)] })],
    ['the tool called, masked', 'request.toolCall.name == "x"', asked({ toolCall: '<EMAIL_ADDRESS><IP_ADDRESS>' })],
    ['a path that was masked', 'http.path.startsWith("/x")', asked({ http: { ...http, path: '/v1/<EMAIL_ADDRESS>' } })],
    ['one that may have been cut', 'http.path.startsWith("/x")', asked({ http: { ...http, path: '/'.repeat(1024) } })],
    ['a host that was masked', 'http.host == "x"', asked({ http: { ...http, host: '<IP_ADDRESS>.example' } })],
    ['a method that nobody knows', 'http.method == "PURGE"', asked({ http: { ...http, method: 'other' } })],
  ] as const)('counts a rule that reads %s as unknown, never as no change', async (_, when, changes) => {
    const variables = '  variables: [{name: x, expression: \'"x" in caller.claims\'}]\n';
    const set = setOf({
      'p.yaml': policy(`${allowAll}\n- {name: no, then: deny, when: '${when}'}`, variables),
    });
    const report = await run(set, [session(changes)]);
    expect(report).toMatchObject({ sessions: 1, unchanged: 0, changed: 0, unknown: 1 });
    expect(report.rules.find(({ rule }) => rule === 'test/no')).toMatchObject({ unknown: 1, after: 0 });
    expect(report.examples).toMatchObject([{ to: 'unknown', by: 'test/no' }]);
  });

  test('knows a verdict that an unknown rule cannot change', async () => {
    const unknown = '- {name: maybe, then: deny, when: \'"x" in caller.claims\'}';
    const denied = session({ decision: { verdict: 'deny', rules: [] } });
    const report = await run(rules(allowAll, unknown, '- {name: sure, then: deny}'), [denied]);
    expect(report).toMatchObject({ unchanged: 1, unknown: 0 });
    expect(report.rules.find(({ rule }) => rule === 'test/maybe')).toMatchObject({ unknown: 1 });
  });

  test('does not know what CEL would swallow: `true ||` decides without what is not kept', async () => {
    const report = await run(rules(allowAll, '- {name: no, then: deny, when: \'true || "x" in caller.claims\'}'), [
      session(),
    ]);
    expect(report).toMatchObject({ changed: 1, unknown: 0 });
  });

  test.each([
    ['allow', '- {name: maybe, then: allow, when: \'"x" in caller.claims\'}'],
    ['mask', `${allowAll}\n- {name: maybe, then: mask, detect: [pii], when: '"x" in caller.claims'}`],
    ['limit', `${allowAll}\n- {name: maybe, then: limit, by: caller.claims.x, limits: [{requests: 1, per: 1m}]}`],
    [
      'requireApproval',
      `${allowAll}\n- {name: maybe, then: requireApproval, approvers: [a], when: '"x" in caller.claims'}`,
    ],
  ])('does not know the session where an unknown %s rule matters', async (_, lines) => {
    const report = await run(rules(lines), [session()]);
    expect(report).toMatchObject({ unknown: 1, unchanged: 0, verdicts: [{ from: 'allow', to: 'unknown' }] });
    expect(report.examples).toMatchObject([{ by: 'test/maybe' }]);
  });

  test('leaves rules on trial out of the verdict, and counts them', async () => {
    const report = await run(rules(allowAll, '- {name: trial, then: deny, mode: dryRun}'), [session()]);
    expect(report).toMatchObject({ unchanged: 1, changed: 0 });
    expect(report.rules.find(({ rule }) => rule === 'test/trial')).toMatchObject({ after: 1, newly: 1 });
  });

  test('tells sessions with the same verdict and other masks apart', async () => {
    const report = await run(rules(allowAll, '- {name: mask, then: mask, detect: [email]}'), [session()]);
    expect(report).toMatchObject({ unchanged: 0, changed: 0, masksChanged: 1 });
  });

  test('and those that another operator masks', async () => {
    const set = rules(allowAll, '- {name: mask, then: mask, detect: [email], operator: hash}');
    const masked = (type?: string) =>
      session({
        decision: {
          maskResponse: ['email'],
          ...(type === undefined ? {} : { operators: { response: { email: type } } }),
        },
      });
    const report = await run(set, [masked(), masked('redact'), masked('hash')]);
    expect(report).toMatchObject({ unchanged: 1, changed: 0, masksChanged: 2 });
  });

  test('and takes a category on the record for the detectors that it means', async () => {
    const set = rules(allowAll, '- {name: mask, then: mask, detect: [email], operator: hash}');
    const masked = (type: string) =>
      session({ decision: { maskResponse: ['mails'], operators: { response: { mails: type } } } });
    const report = await run(set, [masked('hash'), masked('redact')]);
    expect(report).toMatchObject({ unchanged: 1, changed: 0, masksChanged: 1 });
  });

  test('does not know sessions of models that are gone', async () => {
    expect(await run(rules(allowAll), [session({ request: { model: 'retired' } })])).toMatchObject({ unknown: 1 });
  });

  test('counts rules that are no longer there, and changes by caller and model', async () => {
    const bob = {
      provider: 'okta',
      issuer: 'https://okta',
      subject: 'bob',
      kind: 'person',
      proof: 'token',
      groups: [],
    } as const;
    const decision = { rules: [{ policy: 'test', rule: 'gone', mode: 'enforce' }] };
    const set = rules('- {name: eng, then: allow, when: \'"eng" in caller.groups\'}');
    const report = await run(set, [session({ decision }), session({ decision, request: { caller: bob } })]);
    expect(report.rules.find(({ rule }) => rule === 'test/gone')).toMatchObject({ before: 2, after: 0, noLonger: 2 });
    expect(report.callers).toEqual([
      { name: 'okta/bob', sessions: 1, changed: 1, unknown: 0 },
      { name: 'okta/jane', sessions: 1, changed: 0, unknown: 0 },
    ]);
    expect(report.models).toEqual([{ name: 'demo', sessions: 2, changed: 1, unknown: 0 }]);
  });

  test('charges limits in the order of the requests, by what was used, in windows that began since', async () => {
    const limit = '- {name: budget, then: limit, by: caller.subject, limits: [{tokens: 250, per: 1m}]}';
    const minute = Math.floor(nowMs / 60_000) * 60_000;
    const at = (ms: number, usedTokens: number) => {
      const one = session({ usedTokens });
      return { ...one, request: { ...one.request, at: minute + ms } };
    };
    const report = await run(rules(allowAll, limit), [at(0, 200), at(1, 100), at(2, 50), at(60_000, 250)], minute);
    expect(report.verdicts).toEqual([{ from: 'allow', to: 'limit', sessions: 1 }]);
    expect(report.examples).toMatchObject([{ to: 'limit', by: 'test/budget' }]);
  });

  describe('with limits whose windows began before', () => {
    const day = 86_400_000;
    const monday = Date.parse('2026-11-16T00:00:00Z');
    const limit = (limits: string) =>
      rules(allowAll, `- {name: budget, then: limit, by: caller.subject, limits: [${limits}]}`);
    const at = (ms: number, usedTokens: number, decision: Partial<RecordedSession['decision']> = {}) => {
      const one = session({ usedTokens, decision });
      return { ...one, request: { ...one.request, at: ms } };
    };

    test('does not know what was used of them', async () => {
      const report = await run(limit('{tokens: 250, per: 1d}'), [at(monday + 2, 10), at(monday + day, 10)], monday + 1);
      expect(report).toMatchObject({ unknown: 1, unchanged: 1 });
      expect(report.examples).toMatchObject([{ from: 'allow', to: 'unknown', by: 'test/budget' }]);
    });

    test('knows what no room would be enough for', async () => {
      const report = await run(limit('{tokens: 250, per: 1d}'), [at(monday + 2, 251)], monday + 1);
      expect(report.verdicts).toEqual([{ from: 'allow', to: 'limit', sessions: 1 }]);
    });

    test('knows what another limit refuses', async () => {
      const report = await run(
        limit('{tokens: 250, per: 1d}, {requests: 1, per: 1s}'),
        [at(monday + day, 10), at(monday + day + 1, 10)],
        monday + 1,
      );
      expect(report.verdicts).toEqual([{ from: 'allow', to: 'limit', sessions: 1 }]);
    });

    test('does not know what depends on a session that may have been refused', async () => {
      const minute = monday + 60_000;
      const sessions = [at(minute, 10), at(minute + 1, 10), at(minute + 2, 10)];
      const report = await run(limit('{tokens: 250, per: 1h}, {requests: 2, per: 1m}'), sessions, monday + 1);
      expect(report).toMatchObject({ unknown: 3, changed: 0 });
    });

    test('begins weeks on a Monday, as the gate does', async () => {
      const sessions = [at(monday - 1, 200), at(monday, 200), at(monday + 4 * day, 200)];
      const report = await run(limit('{tokens: 250, per: 7d}'), sessions, monday - 7 * day);
      expect(report.verdicts).toEqual([{ from: 'allow', to: 'limit', sessions: 1 }]);
      expect(report.examples).toMatchObject([{ at: monday + 4 * day }]);
    });

    test('leaves limits on trial alone', async () => {
      const trial = '- {name: trial, mode: dryRun, then: limit, limits: [{requests: 1, per: 1d}]}';
      expect(await run(rules(allowAll, trial), [at(monday + 2, 10)], monday + 1)).toMatchObject({ unchanged: 1 });
    });
  });

  test('keeps a few examples of each change', async () => {
    const report = await run(
      rules('- {name: none, then: allow, when: "false"}'),
      Array.from({ length: 9 }, () => session()),
    );
    expect(report.verdicts).toEqual([{ from: 'allow', to: 'deny', sessions: 9 }]);
    expect(report.examples).toHaveLength(3);
  });

  const shield = { shield: { flagged: true, categories: ['hate'], code: '' } };
  test.each([
    ['a guard that was asked says what it said', 'guard("shield").flagged', shield, 'changed'],
    ['what it said it for', '"violence" in guard("shield").categories', shield, 'unchanged'],
    ['its scores are not kept', 'guard("shield").scores["hate"] > 0.5', shield, 'unknown'],
    ['one that nobody asked', 'guard("shield").flagged', {}, 'unknown'],
    ['one of a version that asked none', '!guard("shield").flagged', undefined, 'unknown'],
    ['one that is asked behind what decides', 'request.tokens > 1 || guard("shield").flagged', {}, 'changed'],
    [
      'one that failed fails again, and a rule that denies then denies',
      'guard("shield").flagged',
      { shield: { flagged: false, categories: [], code: 'guard_timeout' } },
      'changed',
    ],
  ] as const)('asks no guard: %s', async (_, when, guards, outcome) => {
    const set = setOf({ 'p.yaml': policy(`${allowAll}\n${no(when)}`) }, undefined, ['shield']);
    const counts = { changed: 0, unchanged: 0, unknown: 0, [outcome]: 1 };
    const one = session(guards === undefined ? {} : { request: { guards } });
    expect(await run(set, [one])).toMatchObject(counts);
  });

  const second = 'request.text.contains("zzz") && request.maxTokens > 100000';
  test.each([
    ['behind which another error comes', second],
    ['before which one came', 'request.maxTokens > 100000 && request.text.contains("zzz")'],
    ['in a list of which', '["zzz"].exists(x, request.text.contains(x) && request.maxTokens > 1)'],
    ['in a variable', 'variables.x'],
    ['in a variable that another rule has read', 'variables.y'],
  ])('does not know a rule that reads what was not kept, %s', async (_, when) => {
    const variables = `  variables: [{name: x, expression: '${second}'}, {name: y, expression: variables.x}]\n`;
    const set = setOf({
      'p.yaml': policy(`${allowAll}\n- {name: first, then: allow, when: variables.y}\n${no(when)}`, variables),
    });
    const report = await run(set, [session({ text: undefined })]);
    expect(report).toMatchObject({ changed: 0, unchanged: 0, unknown: 1 });
    expect(report.rules.find(({ rule }) => rule === 'test/no')).toMatchObject({ unknown: 1 });
  });

  test.each([
    ['fails for another reason', 'request.maxTokens > 100000'],
    ['came to something without it', `request.tokens > 1 || (${second})`],
    ['came to something with it, that it cannot change', `(${second}) || request.tokens > 1`],
  ])('knows a rule that %s', async (_, when) => {
    const maybe = '- {name: maybe, then: allow, when: "request.text.contains(\'x\')"}';
    const report = await run(rules(allowAll, maybe, no(when)), [session({ text: undefined })]);
    expect(report).toMatchObject({ changed: 1, unknown: 0, verdicts: [{ from: 'allow', to: 'deny', sessions: 1 }] });
    expect(report.rules.find(({ rule }) => rule === 'test/maybe')).toMatchObject({ unknown: 1 });
  });

  test('names as the one that decides a rule that is known', async () => {
    const maybe = '- {name: maybe, then: deny, when: \'"x" in caller.claims\'}';
    const denied = await run(rules(allowAll, maybe, no('true')), [session()]);
    expect(denied.examples).toMatchObject([{ to: 'deny', by: 'test/no' }]);
    const asked = (name: string, when: string) =>
      `- {name: ${name}, then: requireApproval, approvers: [a], when: '${when}'}`;
    const held = await run(rules(allowAll, asked('maybe', '"x" in caller.claims'), asked('yes', 'true')), [session()]);
    expect(held.examples).toMatchObject([{ to: 'requireApproval', by: 'test/yes' }]);
    const nothing = await run(rules('- {name: nobody, then: allow, when: "false"}'), [session()]);
    expect(nothing.examples).toMatchObject([{ to: 'deny', by: '' }]);
  });
});
