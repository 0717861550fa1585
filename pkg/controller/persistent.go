package controller

import (
	"context"
	"errors"
	"log/slog"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// The pauses between two tries to reach the API server. The informers' own double up to a minute: whatever was changed
// after an outage of twenty seconds would be served as late as that, by a leader whose cache is still the old one.
const (
	reachFirst = 200 * time.Millisecond
	reachLast  = 2 * time.Second
	// reachWord is how often an outage is spoken of.
	reachWord = 30 * time.Second
)

// newInformers returns a function that makes informers whose watches go on soon after an outage of the API server.
func newInformers(
	log *slog.Logger,
) func(cache.ListerWatcher, runtime.Object, time.Duration, cache.Indexers) cache.SharedIndexInformer {
	return func(
		lw cache.ListerWatcher, kind runtime.Object, resync time.Duration, indexers cache.Indexers,
	) cache.SharedIndexInformer {
		return cache.NewSharedIndexInformer(persistent(lw, log), kind, resync, indexers)
	}
}

// persistent repeats the requests that did not reach the API server until they do. What the server itself refuses is
// the reflector's matter.
func persistent(lw cache.ListerWatcher, log *slog.Logger) cache.ListerWatcher {
	all := cache.ToListerWatcherWithContext(lw)
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return reach(ctx, log, func() (runtime.Object, error) { return all.ListWithContext(ctx, o) })
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
			return reach(ctx, log, func() (apiwatch.Interface, error) { return all.WatchWithContext(ctx, o) })
		},
	}
}

// reach repeats a request until the API server has answered it, or the context ends.
func reach[T any](ctx context.Context, log *slog.Logger, request func() (T, error)) (T, error) {
	var spoken time.Time
	for wait := reachFirst; ; wait = min(2*wait, reachLast) {
		answer, err := request()
		if err == nil || !unreached(err) || ctx.Err() != nil {
			return answer, err
		}
		if time.Since(spoken) >= reachWord {
			log.Warn("the API server does not answer", "error", err)
			spoken = time.Now()
		}
		select {
		case <-ctx.Done():
			return answer, err
		case <-time.After(wait):
		}
	}
}

// unreached tells a request that nobody has looked at.
func unreached(err error) bool {
	var answer apierrors.APIStatus
	return !errors.As(err, &answer) || apierrors.IsTooManyRequests(err) || apierrors.IsServiceUnavailable(err)
}
