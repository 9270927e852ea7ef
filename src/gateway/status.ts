/** What `/readyz` says of each part. */
import type { Config } from '../config.ts';
import type { PartStatus } from '../console/internal.ts';
import type { PolicyStatus } from '../policy/source.ts';
import type { Parts } from './parts.ts';
import type { RecordParts } from './record.ts';

export function internalParts(config: Config, record: RecordParts, parts: Parts): Record<string, () => PartStatus> {
  return {
    journal: () => {
      const { state, bytes, maxBytes } = record.journal.gauges();
      const detail = `durability ${config.record.journal.durability}, ${bytes} of ${maxBytes} bytes`;
      return state === 'open' ? { ready: true, detail } : { ready: false, reason: `${state} (${detail})` };
    },
    store: () => {
      const health = record.health();
      const { bytes, lagMs, quarantined } = record.shipper.gauges();
      const aside = quarantined === 0 ? '' : `, ${quarantined} records put aside`;
      const behind = `${bytes} bytes and ${lagMs} ms behind the journal${aside}`;
      const problem = health.ok ? record.shippingProblem() : health.error;
      if (!health.ok || problem !== undefined) return { ready: false, reason: `${problem} (${behind})` };
      return { ready: true, detail: `ClickHouse ${health.version}, ${behind}` };
    },
    keys: () => {
      const all = parts.identity.identifier.keys();
      const bad = all.filter(({ usable, problem }) => !usable && problem !== '');
      // Keys are fetched when the first token comes.
      const unasked = all.filter(({ usable, problem }) => !usable && problem === '').length;
      return bad.length === 0
        ? {
            ready: true,
            detail: `of ${all.length} provider(s)${unasked === 0 ? '' : `, ${unasked} not asked for yet`}`,
          }
        : { ready: false, reason: bad.map(({ provider, problem }) => `${provider}: ${problem}`).join('; ') };
    },
    saml: () => {
      const { saml, samlProblems } = parts.identity;
      if (samlProblems.size === 0) return { ready: true, detail: `${saml.size} provider(s)` };
      return { ready: false, reason: [...samlProblems].map(([name, why]) => `${name}: ${why}`).join('; ') };
    },
    // Not ready when the gate closes for it, not sooner: a blink of a shared store must not take every replica out of service.
    state: () => {
      const health = parts.state.health();
      const problem = parts.identity.revocations.problem();
      const detail = health.ready ? health.detail : health.reason;
      return problem === undefined ? { ready: true, detail } : { ready: false, reason: `${problem} (${detail})` };
    },
    // Trouble with new policies takes nothing out of service: those in force stay.
    policies: () => ({ ready: true, detail: policyDetail(parts.policies.status) }),
    ...(parts.content.filterStatus() !== undefined && {
      filters: () => ({ ready: true, detail: parts.content.filterStatus() ?? '' }),
    }),
    limits: () => {
      const { ready, detail } = parts.limiter.health();
      return ready ? { ready, detail } : { ready, reason: detail };
    },
    models: () => ({ ready: true, detail: `${parts.models.list().length} active` }),
  };
}

const time = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

function policyDetail({ revision, commit, source, loadedAtMs, stale, problem }: PolicyStatus): string {
  const parts = [
    `${revision}${commit === undefined ? '' : ` (commit ${commit})`} from ${source}, in force since ${time(loadedAtMs)}`,
  ];
  if (stale !== undefined) parts.push(`stale: ${stale}`);
  if (problem !== undefined) {
    const [first = '', ...more] = problem.text.split('\n');
    const rest = more.length === 0 ? '' : ` (and ${more.length} more)`;
    parts.push(`refused since ${time(problem.sinceMs)}: ${first.slice(0, 500)}${rest}`);
  }
  return parts.join('; ');
}
