package main

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// EchoMethod is the full name of the one call: a google.protobuf.StringValue comes back as "hello from NAME: VALUE".
const EchoMethod = "/hello.Echo/Echo"

// newGRPC serves hello.Echo, described by hand so that no generated code is needed, and the standard health service.
func newGRPC(name string) *grpc.Server {
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "hello.Echo", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Echo", Handler: echoHandler(name)}},
	}, struct{}{})
	healthpb.RegisterHealthServer(server, health.NewServer())
	return server
}

func echoHandler(name string) grpc.MethodHandler {
	return func(_ any, ctx context.Context, decode func(any) error, via grpc.UnaryServerInterceptor) (any, error) {
		in := new(wrapperspb.StringValue)
		if err := decode(in); err != nil {
			return nil, err
		}
		answer := func(_ context.Context, in any) (any, error) {
			return wrapperspb.String("hello from " + name + ": " + in.(*wrapperspb.StringValue).GetValue()), nil
		}
		if via == nil {
			return answer(ctx, in)
		}
		return via(ctx, in, &grpc.UnaryServerInfo{FullMethod: EchoMethod}, answer)
	}
}
