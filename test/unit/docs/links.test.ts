import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { anchors, pages, read, root } from './markdown.ts';

interface Link {
  readonly page: string;
  readonly target: string;
}

const links: readonly Link[] = pages().flatMap((page) => {
  const prose = read(page).replace(/^```[\s\S]*?^```$/gm, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => ({ page, target }));
});

const local = links.filter(({ target }) => !/^https?:/.test(target));

describe('links in the documents', () => {
  test('are looked at in every page', () => {
    const linking = new Set(links.map(({ page }) => page));
    for (const page of ['README.md', 'SECURITY.md', 'CONTRIBUTING.md', 'docs/architecture.md', 'docs/policies.md'])
      expect([...linking]).toContain(page);
  });

  test.each(local)('$page → $target is there', ({ page, target }) => {
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? page : normalize(join(dirname(page), path));
    expect(file.startsWith('..'), 'it leaves the project').toBe(false);
    expect(existsSync(join(root, file)), `${file} is not there`).toBe(true);
    if (anchor !== undefined) expect(anchors(file)).toContain(anchor);
  });

  test.each(links.filter(({ target }) => /^http:/.test(target)))('$page → $target is encrypted', ({ target }) => {
    expect(target).toMatch(/^https:/);
  });
});
