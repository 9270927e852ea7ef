/** The request, as ext_proc sees it: the plan is opened, and the body masked where a rule says so. */
import { UnreadableBody } from '../exchange/unreadable.ts';
import { ASK_FOR_REQUEST_BODY, CONTINUE_REQUEST_BODY, CONTINUE_REQUEST_HEADERS } from './encode.ts';
import type { GateStream } from './gate-stream.ts';
import { openPlan } from './plan.ts';
import { RequestMasking } from './request-masking.ts';
import { attributeStrings, metadataStrings, type ProcessingRequest } from './wire.ts';

/** Namespace of ext_authz's dynamic metadata, whatever name the filter has. */
const METADATA_NAMESPACE = 'envoy.filters.http.ext_authz';

export function requestHeaders(stream: GateStream, message: ProcessingRequest): Promise<void> | undefined {
  const { options } = stream;
  const attributes = attributeStrings(message.attributes);
  const sealed =
    message.metadata === undefined
      ? undefined
      : metadataStrings(message.metadata, METADATA_NAMESPACE)?.get('sallyport');
  const nowMs = options.nowMs();
  const opened = openPlan(sealed, options.planKeys, {
    nowMs,
    requestId: attributes.get('request.id'),
    cluster: attributes.get('xds.cluster_name'),
  });
  if (!opened.ok) return stream.refusePlan(opened.why, message);
  if (!options.usedPlans.use(opened.plan.session, nowMs)) return stream.refusePlan('replayed', message);
  const { plan } = opened;
  stream.watched = options.sessions.take(plan);
  stream.plan = plan;
  if (plan.watched && stream.watched === undefined) return stream.refuseOpened('unwatched', plan);
  stream.phase = 'request';
  if (plan.maskRequest.length === 0) return stream.pass(CONTINUE_REQUEST_HEADERS);
  stream.masking = new RequestMasking(plan, options.maskRequest);
  return stream.pass(ASK_FOR_REQUEST_BODY);
}

export function requestBody(stream: GateStream, message: ProcessingRequest): Promise<void> | undefined {
  const { masking, plan } = stream;
  if (masking === undefined || plan === undefined) return stream.pass(CONTINUE_REQUEST_BODY);
  return masking.answer(message.body).then(
    (answer) => stream.write(answer),
    (error: unknown) => {
      if (!(error instanceof UnreadableBody)) throw error;
      return stream.refuseResponse('request_not_maskable', plan, 'denied', error.message.slice(0, 200));
    },
  );
}
