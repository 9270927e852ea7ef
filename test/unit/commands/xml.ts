import { DOMParser } from '@xmldom/xmldom';

/** What a reader of JUnit reports sees in one; throws for what is not well-formed. */
export function readJunit(xml: string) {
  const broken = (_level: string, message: string): never => {
    throw new Error(message);
  };
  const document = new DOMParser({
    errorHandler: { warning: broken, error: broken, fatalError: broken } as never,
  }).parseFromString(xml, 'text/xml');
  const all = (name: string) => Array.from(document.getElementsByTagName(name));
  const root = document.documentElement!;
  return {
    suites: all('testsuite').length,
    tests: all('testcase').map((one) => one.getAttribute('name')),
    failures: all('failure').map((one) => one.textContent),
    counts: { tests: root.getAttribute('tests'), failures: root.getAttribute('failures') },
  };
}
