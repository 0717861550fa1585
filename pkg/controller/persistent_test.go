package controller

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// refused is what a dial to a machine without an API server ends with.
var refused = &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}

// outageServer answers when its outage is over.
type outageServer struct{ until time.Time }

func (s outageServer) listWatch() *cache.ListWatch {
	return &cache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			if time.Now().Before(s.until) {
				return nil, refused
			}
			return &corev1.ConfigMapList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}}, nil
		},
		WatchFuncWithContext: func(_ context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
			switch {
			case time.Now().Before(s.until):
				return nil, refused
			case o.SendInitialEvents != nil:
				return nil, apierrors.NewBadRequest("no streamed lists here")
			}
			return apiwatch.NewFake(), nil
		},
	}
}

// TestInformerAfterOutage: what the API server has is known within seconds of the end of an outage.
func TestInformerAfterOutage(t *testing.T) {
	for _, outage := range []time.Duration{5 * time.Second, 26 * time.Second, 10 * time.Minute} {
		t.Run(outage.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				end := time.Now().Add(outage)
				informer := newInformers(slog.New(slog.DiscardHandler))
				inf := informer(outageServer{end}.listWatch(), &corev1.ConfigMap{}, 0, cache.Indexers{})
				go inf.RunWithContext(ctx)
				for !inf.HasSynced() {
					time.Sleep(100 * time.Millisecond)
				}
				if late := time.Since(end); late < 0 || late > reachLast+time.Second {
					t.Errorf("synced %s after the outage", late)
				}
			})
		})
	}
}

// TestUnreached: what the API server says itself is never repeated blindly.
func TestUnreached(t *testing.T) {
	kind := schema.GroupResource{Resource: "configmaps"}
	for _, c := range []struct {
		name string
		err  error
		want bool
	}{
		{"refused", refused, true},
		{"EOF", errors.New("unexpected EOF"), true},
		{"too many requests", apierrors.NewTooManyRequests("later", 1), true},
		{"unavailable", apierrors.NewServiceUnavailable("starting"), true},
		{"forbidden", apierrors.NewForbidden(kind, "", errors.New("no role")), false},
		{"expired", apierrors.NewResourceExpired("too old"), false},
		{"timeout", apierrors.NewTimeoutError("Too large resource version", 1), false},
		{"no streamed lists", apierrors.NewInvalid(schema.GroupKind{}, "", nil), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := unreached(c.err); got != c.want {
				t.Errorf("unreached(%v) = %t", c.err, got)
			}
		})
	}
}
