/** A project with policies, and the commands that work on them. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { policyCommand } from '../../../src/commands/policy.ts';
import { project, run } from './run.ts';

let home: ReturnType<typeof project>;

/** A project of its own for each test of the file. Returns where the present one is. */
export function projectPerTest(): { readonly folder: string } {
  beforeEach(() => {
    home = project('policies: {dir: policies}\n');
  });
  afterEach(() => rmSync(home.folder, { recursive: true }));
  return {
    get folder() {
      return home.folder;
    },
  };
}

export function write(path: string, text: string): void {
  const file = join(home.folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

export const policy = (rules: string, name = 'chat', spec = ''): string =>
  `apiVersion: sallyport/v1\nkind: Policy\nmetadata: {name: ${name}}\nspec:\n${spec}  rules:\n${rules.replace(/^/gm, '    ')}\n`;

export const engineers = '- {name: engineers, when: \'"eng" in caller.groups\', then: allow}';
export const noCards =
  '- {name: no-cards, when: \'"credit_card" in request.findings\', then: deny, message: No cards.}';

export const cases = (list: string): string =>
  `apiVersion: sallyport/v1\nkind: PolicyCases\ndefaults: {caller: {groups: [eng]}}\ncases:\n${list.replace(/^/gm, '  ')}\n`;

export const policies = (args: readonly string[], columns = 160) =>
  run([policyCommand()], ['policy', ...args, '--config', home.file], { columns });
