import io.opentelemetry.api.trace.Span;
import io.opentelemetry.exporter.otlp.http.trace.OtlpHttpSpanExporter;
import io.opentelemetry.exporter.otlp.trace.OtlpGrpcSpanExporter;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.common.export.RetryPolicy;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.SimpleSpanProcessor;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import java.time.Duration;
import java.util.Collection;
import java.util.concurrent.TimeUnit;

/**
 * Sends spans by the exporters of OpenTelemetry's SDK for Java, one request each, and says what became of them.
 *
 * <p>Its arguments are the protocol (grpc or http), the address, the packing (none or gzip) and the number of spans.
 */
public final class Send {
  private static final RetryPolicy RETRY =
      RetryPolicy.builder()
          .setMaxAttempts(5)
          .setInitialBackoff(Duration.ofMillis(100))
          .setMaxBackoff(Duration.ofMillis(500))
          .build();

  public static void main(String[] arguments) {
    SpanExporter exporter = exporter(arguments[0], arguments[1], arguments[2]);
    SdkTracerProvider provider =
        SdkTracerProvider.builder().addSpanProcessor(SimpleSpanProcessor.create(new Telling(exporter))).build();
    for (int number = 0; number < Integer.parseInt(arguments[3]); number++) {
      Span span = provider.get("test").spanBuilder("span " + number).startSpan();
      span.end();
    }
    provider.shutdown().join(20, TimeUnit.SECONDS);
  }

  private static SpanExporter exporter(String protocol, String address, String packing) {
    if (protocol.equals("grpc")) {
      return OtlpGrpcSpanExporter.builder()
          .setEndpoint("http://" + address)
          .setCompression(packing)
          .setTimeout(Duration.ofSeconds(20))
          .setRetryPolicy(RETRY)
          .build();
    }
    return OtlpHttpSpanExporter.builder()
        .setEndpoint("http://" + address + "/v1/traces")
        .setCompression(packing)
        .setTimeout(Duration.ofSeconds(20))
        .setRetryPolicy(RETRY)
        .build();
  }

  /** Says of each export how it ended, before the next one begins. */
  private record Telling(SpanExporter exporter) implements SpanExporter {
    @Override
    public CompletableResultCode export(Collection<SpanData> spans) {
      long begun = System.nanoTime();
      CompletableResultCode result = exporter.export(spans).join(20, TimeUnit.SECONDS);
      String word = result.isSuccess() ? "taken" : "refused";
      System.out.println((System.nanoTime() - begun) / 1_000_000 + " " + word);
      return result;
    }

    @Override
    public CompletableResultCode flush() {
      return exporter.flush();
    }

    @Override
    public CompletableResultCode shutdown() {
      return exporter.shutdown();
    }
  }
}
