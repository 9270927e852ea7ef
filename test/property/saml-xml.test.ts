/** What the strict reader takes, xmldom reads alike: under it xml-crypto verifies signatures. */
import { DOMParser } from '@xmldom/xmldom';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readXml, type XmlElement, XmlProblem } from '../../src/identity/saml/xml.ts';
import { factsFor, writeResponse } from '../support/saml-xml.ts';

interface Plain {
  readonly local: string;
  readonly namespace: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly Plain[];
  readonly text: string;
}

const ours = (element: XmlElement): Plain => ({
  ...element,
  attributes: Object.fromEntries([...element.attributes].sort()),
  children: element.children.map(ours),
});

const isElement = (node: Node): node is Element => node.nodeType === 1;

function theirs(element: Element): Plain {
  const attributes = Array.from(element.attributes)
    .filter(({ name }) => name !== 'xmlns' && !name.startsWith('xmlns:'))
    .map((a): [string, string] => [a.namespaceURI ? `{${a.namespaceURI}}${a.localName}` : a.localName, a.value]);
  const children = Array.from(element.childNodes).filter(isElement).map(theirs);
  return {
    local: element.localName,
    namespace: element.namespaceURI ?? '',
    attributes: Object.fromEntries(attributes.sort(([a], [b]) => (a < b ? -1 : 1))),
    children,
    text: children.length > 0 ? '' : (element.textContent ?? ''),
  };
}

function readOrRefuse(text: string): XmlElement | undefined {
  try {
    return readXml(text, { comments: 'refused' });
  } catch (error) {
    expect(error).toBeInstanceOf(XmlProblem);
    return undefined;
  }
}

const valid = writeResponse(
  factsFor({ issuer: 'urn:idp', recipient: 'https://gate.test/acs?a=1&b=2', audience: 'urn:gate', nowMs: 0 }),
);
const fragments = [
  ...[
    '<a>',
    '</a>',
    '<a/>',
    '<a b="1">',
    '<p:a xmlns:p="urn:p">',
    ' xmlns="urn:d"',
    ' xmlns=""',
    ' xmlns:q="urn:q"',
    ' q:a="1"',
  ],
  ...[
    '&amp;',
    '&lt;',
    '&#60;',
    '&#x26;',
    '&#13;',
    '&#10;',
    '&#9;',
    '&#x85;',
    '&x;',
    '&',
    '&amp',
    '\n',
    '\t',
    '\r',
    ' ',
    '"',
    "'",
  ],
  ...[
    '<',
    '>',
    '/>',
    ']]>',
    '<!---->',
    '<!-- x -->',
    '<![CDATA[x]]>',
    '<?x?>',
    '<!DOCTYPE a>',
    '\u0085',
    '\u2028',
    '\ufeff',
    '\0',
  ],
  ...[
    'é',
    '王',
    '\u{1f600}',
    '=',
    ' b="<"',
    " c='\"'",
    ' d="&quot;\n\t"',
    'xml:lang="en"',
    ' xml:id="x"',
    ' ID="x"',
    '</saml:NameID>',
  ],
];

/** A valid response with pieces put in, cut out or doubled at random places. */
const mutated = fc
  .array(
    fc.record({
      at: fc.nat(valid.length),
      cut: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(40) }),
      put: fc.constantFrom('', ...fragments),
    }),
    { minLength: 1, maxLength: 3 },
  )
  .map((edits) => edits.reduce((xml, { at, cut, put }) => xml.slice(0, at) + put + xml.slice(at + cut), valid));

/** A document of our own making, most of which is taken. */
const name = fc.constantFrom('a', 'b', 'p:c', 'q:d', 'Assertion');
const text = fc.array(
  fc.constantFrom('x', ' ', '\n', '&amp;', '&lt;', '&#62;', '&#13;', '&#9;', 'é', '王', '>', '"', "'"),
  { maxLength: 5 },
);
const attributes = fc.uniqueArray(fc.constantFrom('e', 'f', 'p:g', 'q:g', 'xml:lang', 'xmlns', 'xmlns:p', 'xmlns:q'), {
  maxLength: 4,
});
const { document } = fc.letrec<{ document: string }>((tie) => ({
  document: fc
    .record({
      name,
      attributes,
      values: fc.array(text, { minLength: 4, maxLength: 4 }),
      content: fc.oneof(
        text.map((t) => t.join('')),
        fc.array(tie('document'), { maxLength: 3 }).map((c) => c.join('\n ')),
      ),
    })
    .map(({ name, attributes, values, content }) => {
      const written = attributes.map(
        (a, i) => ` ${a}="${values[i]?.join('').replaceAll('"', '') ?? ''}${a.startsWith('xmlns:') ? 'u' : ''}"`,
      );
      return `<${name}${written.join('')}>${content}</${name}>`;
    }),
}));
const rooted = document.map((inner) => `<r xmlns:p="urn:p" xmlns:q="urn:q">${inner}</r>`);

describe('what the strict reader takes', () => {
  for (const [what, arbitrary, numRuns] of [
    ['responses with mistakes', mutated, 3000],
    ['documents', rooted, 1500],
  ] as const)
    test(`xmldom reads alike: ${what}`, () => {
      let taken = 0;
      fc.assert(
        fc.property(arbitrary, (xml) => {
          const found = readOrRefuse(xml);
          if (found === undefined) return;
          taken += 1;
          const problems: string[] = [];
          const note = (message: string) => void problems.push(message);
          const errorHandler = { warning: note, error: note, fatalError: note };
          const parsed = new DOMParser({ errorHandler }).parseFromString(xml, 'text/xml');
          expect(problems).toEqual([]);
          expect(theirs(parsed.documentElement)).toEqual(ours(found));
        }),
        { numRuns },
      );
      // Or nothing was compared.
      expect(taken).toBeGreaterThan(numRuns / 20);
    });
});
