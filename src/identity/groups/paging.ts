import { isPlainText } from '../plain-text.ts';
import { maxGroupLength } from './claims.ts';
import { GroupsProblem } from './problem.ts';

/** At 999 a page (Graph) or 200 (Google): more than any directory lets one person be in. */
const maxPages = 50;
const maxAsked = 20_000;

export interface Page {
  readonly groups: readonly unknown[];
  /** Where the next page is; undefined: this is the last one. */
  readonly next: string | undefined;
}

/** Reads page after page. Rejects with GroupsProblem when there is no end to it, or a group is not a short plain string. */
export async function readPages(
  name: string,
  first: string,
  read: (place: string) => Promise<Page>,
): Promise<readonly string[]> {
  const groups = new Set<string>();
  let place: string | undefined = first;
  for (let pages = 0; place !== undefined; pages += 1) {
    if (pages === maxPages) throw new GroupsProblem(`${name} answered with more than ${maxPages} pages`);
    const page: Page = await read(place);
    for (const group of page.groups) {
      if (!isPlainText(group, maxGroupLength))
        throw new GroupsProblem(`${name} named a group by no short plain string`);
      groups.add(group);
    }
    if (groups.size > maxAsked) throw new GroupsProblem(`${name} answered with more than ${maxAsked} groups`);
    place = page.next;
  }
  return [...groups];
}
