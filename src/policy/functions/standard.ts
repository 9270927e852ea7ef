import { type FunctionGroup, native, sources } from './row.ts';

const { spec, bindings } = sources;

/** Macros: the library expands them; `ast` in a signature is an expression that is not evaluated first. */
export const macros: FunctionGroup = {
  title: 'Macros',
  intro: 'Of a list, `x` is each element; of a map, each key. Each turn is paid from the [budget](#budget).',
  rows: [
    {
      name: 'has',
      doc: 'whether a field, or a key of a map that is written as a field, is there',
      source: spec,
      examples: ['!has(request.maxTokens) || request.maxTokens > 0'],
      overloads: native('has(ast): bool'),
    },
    {
      name: 'all',
      doc: 'whether it holds for every element; true of none',
      source: spec,
      examples: ['[1, 2].all(x, x > 0)', '{"a": 1}.all(key, key == "a")'],
      overloads: native('list.all(ast, ast): bool'),
    },
    {
      name: 'exists',
      doc: 'whether it holds for any element',
      source: spec,
      examples: ['["a", "b"].exists(x, x in ["b", "c"])'],
      overloads: native('list.exists(ast, ast): bool'),
    },
    {
      name: 'exists_one',
      doc: 'whether it holds for exactly one element',
      source: spec,
      examples: ['[1, 2, 3].exists_one(x, x > 2)'],
      overloads: native('list.exists_one(ast, ast): bool'),
    },
    {
      name: 'filter',
      doc: 'the elements for which it holds',
      source: spec,
      examples: ['["ml-eng", "staff"].filter(x, x.startsWith("ml-")) == ["ml-eng"]'],
      overloads: native('list.filter(ast, ast): list<dyn>'),
    },
    {
      name: 'map',
      doc: 'what each element comes to; with three arguments only those for which the second holds',
      source: spec,
      examples: ['[1, 2].map(x, x * 2) == [2, 4]', '[1, 2].map(x, x > 1, x * 2) == [4]'],
      overloads: native('list.map(ast, ast): list<dyn>', 'list.map(ast, ast, ast): list<dyn>'),
    },
    {
      name: 'cel.bind',
      doc: 'gives a value a name for one expression',
      source: bindings,
      examples: ['cel.bind(x, 2 + 3, x * x) == 25'],
      overloads: native('CelNamespace.bind(ast, dyn, ast): dyn'),
    },
  ],
};

export interface OperatorRow {
  readonly op: string;
  readonly doc: string;
  readonly forms: readonly string[];
  readonly examples: readonly string[];
}

const numbers = ['int', 'uint', 'double'];
const same = (op: string, types: readonly string[]) => types.map((type) => `${type} ${op} ${type}`);
const time = ['google.protobuf.Duration', 'google.protobuf.Timestamp'];
const ordering = (op: string) => same(op, [...numbers, 'string', 'bool', ...time]);

/** Operators, those that bind closest first. */
export const operators: readonly OperatorRow[] = [
  { op: '.', doc: 'a field of a variable, or a key of a map', forms: ['x.name'], examples: ['{"a": 1}.a == 1'] },
  {
    op: '[]',
    doc: 'a key of a map, an element of a list from 0; one that is not there is an error',
    forms: ['map[key]', 'list[int]'],
    examples: ['{"a": 1}["a"] == 1', '["x", "y"][1] == "y"'],
  },
  { op: '-x', doc: 'the negative', forms: ['-int', '-double'], examples: ['-(1) < 0'] },
  { op: '!', doc: 'not', forms: ['!bool'], examples: ['!false'] },
  { op: '*', doc: 'product', forms: same('*', numbers), examples: ['2 * 3 == 6'] },
  {
    op: '/',
    doc: 'quotient; of ints without the rest; by 0 an error',
    forms: same('/', numbers),
    examples: ['7 / 2 == 3'],
  },
  { op: '%', doc: 'rest of a division', forms: same('%', ['int', 'uint']), examples: ['7 % 2 == 1'] },
  {
    op: '+',
    doc: 'sum, or one behind the other; ints that overflow are an error',
    forms: [
      ...same('+', [...numbers, 'string', 'bytes', 'list<T>', 'google.protobuf.Duration']),
      'google.protobuf.Timestamp + google.protobuf.Duration',
      'google.protobuf.Duration + google.protobuf.Timestamp',
    ],
    examples: ['1 + 2 == 3', '"a" + "b" == "ab"', '[1] + [2] == [1, 2]'],
  },
  {
    op: '-',
    doc: 'difference',
    forms: [...same('-', [...numbers, ...time]), 'google.protobuf.Timestamp - google.protobuf.Duration'],
    examples: ['timestamp("2026-01-15T12:00:00Z") - timestamp("2026-01-15T11:00:00Z") == duration("1h")'],
  },
  {
    op: '==',
    doc: 'equal; lists in order, maps by key',
    forms: ['T == T'],
    examples: ['[1, 2] == [1, 2] && {"a": 1} == {"a": 1}'],
  },
  { op: '!=', doc: 'not equal', forms: ['T != T'], examples: ['"a" != "b"'] },
  { op: '<', doc: 'less', forms: ordering('<'), examples: ['1 < 2 && "a" < "b"'] },
  { op: '<=', doc: 'less or equal', forms: ordering('<='), examples: ['2 <= 2'] },
  { op: '>', doc: 'greater', forms: ordering('>'), examples: ['2.5 > 2.0'] },
  { op: '>=', doc: 'greater or equal', forms: ordering('>='), examples: ['now >= timestamp(0)'] },
  {
    op: 'in',
    doc: 'whether a list has the element, or a map the key',
    forms: ['T in list<T>', 'K in map<K, V>'],
    examples: ['"a" in ["a", "b"]', '"k" in {"k": 1}'],
  },
  {
    op: '&&',
    doc: 'and; one side that is false decides, whatever the other is',
    forms: ['bool && bool'],
    examples: ['true && !(false && 1 / 0 == 1)'],
  },
  {
    op: '||',
    doc: 'or; one side that is true decides, whatever the other is',
    forms: ['bool || bool'],
    examples: ['1 / 0 == 1 || true'],
  },
  { op: '? :', doc: 'if, then, else', forms: ['bool ? T : T'], examples: ['(1 > 2 ? "a" : "b") == "b"'] },
];
