// The import table of docs/architecture.md. `from` may import `to`; everything else between our modules is an error.
// Stages meet as values in checkpoint.ts; type-only imports are allowed where the table says "types of".
const stages =
  'identity|exchange|policy|limits|approval|guard|detect|mask|record|store|models|state|console|observe|envoy|commands';
const only = (from, allowed, types = []) => {
  const self = from.replace(/\\/g, '');
  const rules = [
    {
      name: `${self}-imports`,
      severity: 'error',
      from: { path: `^src/${from}(/|\\.ts$)` },
      to: {
        path: '^src/',
        pathNot: [`^src/${from}(/|\\.ts$)`, ...[...allowed, ...types].map((a) => `^src/${a}(/|\\.ts$)`)],
      },
    },
  ];
  for (const type of types)
    rules.push({
      name: `${self}-imports-only-types-of-${type}`,
      severity: 'error',
      from: { path: `^src/${from}(/|\\.ts$)` },
      to: { path: `^src/${type}(/|\\.ts$)`, dependencyTypesNot: ['type-only'] },
    });
  return rules;
};

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: { path: '^src/' }, to: { circular: true } },
    { name: 'no-test-in-src', severity: 'error', from: { path: '^src/' }, to: { path: '^(test|bench|scripts)/' } },
    {
      name: 'nobody-imports-the-composition',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(main\\.ts|commands/)' },
      to: { path: '^src/(gateway\\.ts|main\\.ts|commands/)' },
    },
    ...only('detect', []),
    ...only('mask', ['detect', 'exchange']),
    ...only('exchange', [], ['detect']),
    ...only('identity', []),
    ...only('models', []),
    ...only('state', []),
    ...only('observe', []),
    ...only('policy', ['detect'], ['identity', 'exchange', 'models']),
    ...only('guard', ['detect']),
    ...only('limits', ['state'], ['policy']),
    ...only('approval', ['state'], ['policy']),
    ...only(
      'record',
      [],
      [...stages.split('|').filter((s) => !/record|envoy|commands|store|observe/.test(s)), 'checkpoint'],
    ),
    ...only('store', [], ['record']),
    ...only('console', []),
    ...only('envoy', ['checkpoint', 'mask', 'exchange', 'record']),
    {
      name: 'checkpoint-takes-its-stages-as-values',
      severity: 'error',
      from: { path: '^src/checkpoint(/|\\.ts$)' },
      to: { path: '^src/', dependencyTypesNot: ['type-only'], pathNot: '^src/checkpoint/' },
    },
  ],
  options: {
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.js', '.json'] },
  },
};
