/** Pushing policies: what the admin socket and the public listener hand on to the source. */
import type { Hono } from 'hono';
import { sessionCaller } from '../checkpoint/record.ts';
import type { Config } from '../config.ts';
import type { OauthSources } from '../console/oauth/sources.ts';
import { createPushApp, type PolicyPusher, type PushSources } from '../console/policies.ts';
import type { Caller } from '../identity/caller.ts';
import type { SamlProvider } from '../identity/saml/saml.ts';
import { formatProblem } from '../policy/problem.ts';
import { PushedFiles } from '../policy/push.ts';
import type { PolicySource } from '../policy/source.ts';
import type { CredentialNeeds } from './credentials.ts';
import { placeOf } from './policies.ts';
import { nowMs } from './request.ts';

export function policyPusher(config: Config, source: PolicySource): PolicyPusher {
  const revision = (): string => source.current.revision;
  const kind = config.policies.source;
  if (kind !== 'push') {
    const elsewhere = `${kind === 'git' ? 'the repository' : 'the folder'} ${placeOf(config)}`;
    return { revision, begin: undefined, elsewhere };
  }
  return {
    revision,
    elsewhere: '',
    begin: () => {
      const pushed = new PushedFiles();
      return {
        add: (line) => pushed.add(line),
        end: async (push) => {
          const outcome = await source.offer({ files: pushed.files, ...push });
          if (outcome.ok || outcome.code !== 'invalid') return outcome;
          return { ...outcome, problems: outcome.problems.map(formatProblem) };
        },
      };
    },
  };
}

export interface PushNeeds extends CredentialNeeds {
  readonly sources: OauthSources<Caller, SamlProvider>;
  readonly pusher: PolicyPusher;
}

/** The routes of the public listener: none where nobody may push over it. */
export function pushApps(needs: PushNeeds): Hono[] {
  const { config, sources, pusher } = needs;
  const groups = config.policies.push?.groups ?? [];
  if (groups.length === 0) return [];
  const { identify, refusal, newSession } = sources;
  return [createPushApp({ pusher, groups, newSession, identify, refusal, refused: (no) => refused(needs, no) })];
}

/** Floods are counted together, as the request gate's are. Without a record the refusal stands all the same. */
function refused({ recorder, maskText, log }: PushNeeds, no: Parameters<PushSources['refused']>[0]): void {
  const { session, clientAddress, code, status, detail } = no;
  const caller = no.caller as Caller | undefined;
  try {
    recorder.event({
      ...{ type: 'refused', session, at: nowMs(), code, status, count: 1 },
      detail: maskText(detail.slice(0, 512)),
      http: { method: 'PUT', host: '', path: '/policies', clientAddress, userAgent: '', requestId: '', traceId: '' },
      caller: caller === undefined ? undefined : sessionCaller(caller),
    });
  } catch (error) {
    log.warn('a refused push of policies could not be put on the record', { session, code, error });
  }
}
