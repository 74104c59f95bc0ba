/** What sends traces on. */
export interface Tracing {
  /** Sends what is left, as far as the receiver takes it in time. */
  close(): Promise<void>;
}

const longestFlushMs = 5_000;

/**
 * Sends the spans of rotations by OTLP over HTTP where OpenTelemetry's standard variables name a receiver; the
 * exporter reads them itself. Without them nothing of it is loaded.
 */
export async function openTracing(environment: NodeJS.ProcessEnv): Promise<Tracing> {
  if (!hasReceiver(environment)) return { close: async () => undefined };
  const [{ trace }, { BatchSpanProcessor, TracerProvider }, { OTLPTraceExporter }, resources] =
    await Promise.all([
      import('@opentelemetry/api'),
      import('@opentelemetry/sdk-trace'),
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/resources'),
    ]);
  const { defaultResource, detectResources, resourceFromAttributes } = resources;
  const detectors = [resources.resourceAttributesEnvDetector, resources.serviceNameEnvDetector];
  const provider = new TracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'keyturn' }))
      .merge(detectResources({ detectors })),
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter() })],
  });
  trace.setGlobalTracerProvider(provider);
  return {
    async close() {
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, longestFlushMs);
      // What can't be sent is lost; that is no reason to end badly.
      await Promise.race([provider.shutdown().catch(() => undefined), late.promise]);
      clearTimeout(timer);
    },
  };
}

function hasReceiver(environment: NodeJS.ProcessEnv): boolean {
  const of = (name: string): string => environment[name]?.trim() ?? '';
  const endpoint = of('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') || of('OTEL_EXPORTER_OTLP_ENDPOINT');
  const isOff = of('OTEL_SDK_DISABLED').toLowerCase() === 'true' || of('OTEL_TRACES_EXPORTER') === 'none';
  return endpoint !== '' && !isOff;
}
