package kubelet

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// askPeriod is how soon the API server is asked again. Informers pause for up to a minute, and for two minutes after an
// outage they remember it: a Pod that a test deletes after another test's outage would end as late as that.
const askPeriod = time.Second

// watchPods returns an informer of all Pods that goes on within a second when the API server is back.
func watchPods(client kubernetes.Interface) cache.SharedInformer {
	pods := client.CoreV1().Pods(metav1.NamespaceAll)
	return cache.NewSharedInformer(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return again(ctx, func() (runtime.Object, error) { return pods.List(ctx, o) })
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return again(ctx, func() (watch.Interface, error) { return pods.Watch(ctx, o) })
		},
	}, &corev1.Pod{}, 0)
}

// again repeats a request as long as it does not reach a server.
func again[T any](ctx context.Context, request func() (T, error)) (T, error) {
	for {
		answer, err := request()
		var refusal apierrors.APIStatus
		if err == nil || errors.As(err, &refusal) || ctx.Err() != nil {
			return answer, err
		}
		select {
		case <-ctx.Done():
			return answer, err
		case <-time.After(askPeriod):
		}
	}
}
