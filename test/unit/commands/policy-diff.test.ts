import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { engineers, noCards, policies, policy, projectPerTest, write } from './policies.ts';

const home = projectPerTest();

describe('policy diff', () => {
  it('lists rules that were added, removed and changed, and what changed', async () => {
    write('policies/chat.yaml', policy(`${engineers}\n${noCards}`));
    write(
      'new/chat.yaml',
      policy(`${engineers.replace('"eng"', '"staff"')}\n- {name: other, then: deny, mode: dryRun}`),
    );
    const before = join(home.folder, 'policies');
    const after = join(home.folder, 'new');
    const { code, stdout } = await policies(['diff', before, after]);
    expect(code).toBe(1);
    expect(stdout).toContain('- chat/no-cards (deny)');
    expect(stdout).toContain('+ chat/other (deny, on trial)');
    expect(stdout).toContain('~ chat/engineers (allow)');
    expect(stdout).toContain('when: "eng" in caller.groups → "staff" in caller.groups');
    expect(await policies(['diff', before])).toMatchObject({ code: 0, stdout: 'The same files.\n' });
    expect(JSON.parse((await policies(['diff', after, '--json'])).stdout)).toMatchObject({
      same: false,
      added: [{ rule: 'no-cards' }],
    });
  });

  const head = ([labels, spec]: readonly [string, string], rules: string) =>
    `apiVersion: sallyport/v1\nkind: Policy\nmetadata: {name: chat${labels}}\nspec:\n${spec}  rules:\n${rules.replace(/^/gm, '    ')}\n`;
  const variables = (x: string) => `  variables: [{name: x, expression: ${x}}, {name: y, expression: variables.x}]\n`;
  const reader = '- {name: r, then: deny, when: variables.y}';
  const limit = (amount: number) =>
    `- {name: r, then: limit, by: caller.subject, limits: [{tokens: ${amount}, per: 1m}]}`;
  const approval = (who: string) => `- {name: r, then: requireApproval, approvers: [${who}]}`;
  it.each([
    ['a limit', limit(5), limit(50), 'limits[0].tokens: 5 → 50'],
    ['who approves', approval('a'), approval('a, b'), 'approvers: ["a"] → ["a","b"]'],
    ['an effect', '- {name: r, then: deny}', '- {name: r, then: allow}', 'then: deny → allow'],
    [
      'detectors',
      '- {name: r, then: mask, detect: [pii]}',
      '- {name: r, then: mask, detect: [secrets]}',
      'detect: ["pii"] → ["secrets"]',
    ],
    ['words', '- {name: r, then: deny}', '- {name: r, then: deny, message: No.}', 'message: none → No.'],
    [
      'a severity',
      '- {name: r, then: deny, severity: low}',
      '- {name: r, then: deny, severity: high}',
      'severity: low → high',
    ],
    ['a scope', '- {name: r, then: deny}', '- {name: r, then: deny, models: ["llama*"]}', 'models: all → ["llama*"]'],
    ['a condition', '- {name: r, then: deny}', '- {name: r, then: deny, when: "true"}', 'when: always → true'],
    [
      'white space',
      '- {name: r, then: deny, when: "1 < 2"}',
      '- {name: r, then: deny, when: "1  < 2"}',
      'when: "1 < 2" → "1  < 2"',
    ],
  ])('shows what changed of %s, before and after', async (_, before, after, line) => {
    write('policies/chat.yaml', policy(before));
    write('new/chat.yaml', policy(after));
    const { stdout } = await policies(['diff', join(home.folder, 'policies'), join(home.folder, 'new')]);
    expect(stdout.split('\n').slice(1)).toEqual([`    ${line}`, '']);
  });

  it.each([
    [
      'a variable that is read through another one',
      ['', variables('"true"')],
      ['', variables('"false"')],
      'variables.x: true → false',
    ],
    ["the file's labels", ['', ''], [', labels: {owner: me}', ''], 'labels.owner: none → me'],
    ["the file's mode", ['', ''], ['', '  mode: dryRun\n'], 'mode: enforce → dryRun'],
    ["the file's models", ['', ''], ['', '  models: ["llama*"]\n'], 'policy.models: all → ["llama*"]'],
  ] as const)('shows what changed of %s at its rules only', async (_, before, after, line) => {
    const other = '\n- {name: other, then: deny, mode: enforce}';
    const rules = before[1] === '' ? '- {name: r, then: deny}' : reader + other;
    write('policies/chat.yaml', head(before, rules));
    write('new/chat.yaml', head(after, rules));
    const args = ['diff', join(home.folder, 'policies'), join(home.folder, 'new')];
    expect((await policies(args)).stdout.split('\n').slice(1)).toEqual([`    ${line}`, '']);
    const [field] = line.split(': ');
    const { changed } = JSON.parse((await policies([...args, '--json'])).stdout);
    expect(changed).toMatchObject([{ after: { rule: 'r' }, changes: [{ field }] }]);
  });
});
