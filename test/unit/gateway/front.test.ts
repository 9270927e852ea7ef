import { expect, it } from 'vitest';
import { logLine } from '../../../src/gateway/front.ts';
import { createLog } from '../../../src/observe/log.ts';

it.each([
  ['warning a cluster has no host', 40],
  ['error a filter failed', 50],
  ['critical assert failure', 50],
  [
    'warning There is no configured limit to the number of allowed active downstream connections. Configure a limit in `envoy.resource_monitors.downstream_max_connections` resource monitor.',
    20,
  ],
])('what Envoy says is in the log as it is, without a stack: %s', (line, level) => {
  const lines: string[] = [];
  logLine(createLog({ level: 'debug', target: { write: (text: string) => lines.push(text) } }), line);
  expect(JSON.parse(lines[0] ?? '')).toEqual({
    level,
    time: expect.any(String),
    part: 'envoy',
    line,
    msg: 'envoy says',
  });
});
