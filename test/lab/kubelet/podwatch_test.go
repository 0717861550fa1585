package kubelet

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// TestAgain: a request is repeated every second until a server answers, which may also refuse, or the kubelet ends.
func TestAgain(t *testing.T) {
	refused := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", nil)
	for _, tc := range []struct {
		outage, end time.Duration
		answer      error
	}{
		{0, time.Hour, nil}, {10 * time.Second, time.Hour, nil}, {5 * time.Minute, time.Hour, refused},
		{time.Hour, time.Minute, errors.New("connection refused")},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), tc.end)
			defer cancel()
			begun := time.Now()
			_, err := again(ctx, func() (int, error) {
				if time.Since(begun) < tc.outage {
					return 0, errors.New("connection refused")
				}
				return 0, tc.answer
			})
			if (err == nil) != (tc.answer == nil) || err != nil && err.Error() != tc.answer.Error() {
				t.Errorf("%+v: %v", tc, err)
			}
			if took := time.Since(begun); took > min(tc.outage, tc.end)+askPeriod {
				t.Errorf("%+v: it took %s", tc, took)
			}
		})
	}
}
