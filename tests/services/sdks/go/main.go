// Program sdks sends spans by the exporters of OpenTelemetry's SDK for Go, one request each, and says what became of them.
//
// Its arguments are the protocol (grpc or http), the address, the packing (none or gzip) and the number of spans.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// telling says of each export how it ended.
type telling struct{ sdktrace.SpanExporter }

func (t telling) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	begun := time.Now()
	err := t.SpanExporter.ExportSpans(ctx, spans)
	if err != nil {
		fmt.Printf("%d refused %q\n", time.Since(begun).Milliseconds(), err.Error())
		return nil
	}
	fmt.Printf("%d taken\n", time.Since(begun).Milliseconds())
	return nil
}

func exporter(ctx context.Context, protocol, address, packing string) (*otlptrace.Exporter, error) {
	if protocol == "grpc" {
		options := []otlptracegrpc.Option{
			otlptracegrpc.WithEndpoint(address), otlptracegrpc.WithInsecure(), otlptracegrpc.WithTimeout(20 * time.Second),
			otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{
				Enabled: true, InitialInterval: 10 * time.Millisecond, MaxInterval: time.Second, MaxElapsedTime: 10 * time.Second,
			}),
		}
		if packing == "gzip" {
			options = append(options, otlptracegrpc.WithCompressor("gzip"))
		}
		return otlptracegrpc.New(ctx, options...)
	}
	options := []otlptracehttp.Option{
		otlptracehttp.WithEndpoint(address), otlptracehttp.WithInsecure(), otlptracehttp.WithTimeout(20 * time.Second),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: 10 * time.Millisecond, MaxInterval: time.Second, MaxElapsedTime: 10 * time.Second,
		}),
	}
	if packing == "gzip" {
		options = append(options, otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	}
	return otlptracehttp.New(ctx, options...)
}

func main() {
	ctx := context.Background()
	made, err := exporter(ctx, os.Args[1], os.Args[2], os.Args[3])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	count, _ := strconv.Atoi(os.Args[4])
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(telling{made}))
	for number := range count {
		_, span := provider.Tracer("test").Start(ctx, fmt.Sprintf("span %d", number))
		span.End()
	}
	if err := provider.Shutdown(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
