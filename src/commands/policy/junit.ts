/** The results of cases as a JUnit report (the format that Jenkins and GitLab read: testsuites, testsuite, testcase, failure). */
import { failedRules, type RunCase } from './run-cases.ts';

export function junit(results: readonly RunCase[]): string {
  const suites = Map.groupBy(results, ({ file }) => file);
  const body = [...suites].map(([file, cases]) => suite(file, cases)).join('');
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites${counts(results)}>\n${body}</testsuites>\n`;
}

function suite(file: string, cases: readonly RunCase[]): string {
  return `  <testsuite name="${escaped(file)}"${counts(cases)}>\n${cases.map(testCase).join('')}  </testsuite>\n`;
}

function counts(cases: readonly RunCase[]): string {
  const failures = cases.filter(({ differences }) => differences.length > 0).length;
  return ` tests="${cases.length}" failures="${failures}" errors="0" skipped="0" time="${seconds(cases)}"`;
}

const seconds = (cases: readonly RunCase[]): string => (cases.reduce((sum, { ms }) => sum + ms, 0) / 1_000).toFixed(6);

function testCase(one: RunCase): string {
  const head = `    <testcase classname="${escaped(one.file)}" name="${escaped(one.name)}" file="${escaped(one.file)}" time="${seconds([one])}"`;
  if (one.differences.length === 0) return `${head}/>\n`;
  const differences = one.differences.map(({ what, expected, got }) => `${what}: expected ${expected}, got ${got}`);
  const text = [...differences, ...failedRules(one)].join('\n');
  return `${head}>\n      <failure message="${escaped(text.split('\n', 1)[0]!)}">${escaped(text)}</failure>\n    </testcase>\n`;
}

/** XML 1.0, section 2.2: most control characters are in no document, escaped or not. */
function escaped(text: string): string {
  return text
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd')
    .replace(/[<>&"']/g, (character) => `&#${character.codePointAt(0)};`);
}
