package kubelet

import (
	"context"
	"fmt"
	"sync"
	"time"

	authv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// tokens keeps one Pod's service account tokens until a fifth of their life is left.
type tokens struct {
	client kubernetes.Interface
	mu     sync.Mutex
	kept   map[string]keptToken
}

type keptToken struct {
	token string
	renew time.Time
}

func (t *tokens) get(ctx context.Context, pod *corev1.Pod, audience string, seconds int64) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := fmt.Sprint(audience, seconds)
	if k, ok := t.kept[key]; ok && time.Now().Before(k.renew) {
		return k.token, nil
	}
	request := &authv1.TokenRequest{Spec: authv1.TokenRequestSpec{
		ExpirationSeconds: &seconds,
		BoundObjectRef:    &authv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}
	if audience != "" {
		request.Spec.Audiences = []string{audience}
	}
	account := pod.Spec.ServiceAccountName
	made, err := t.client.CoreV1().ServiceAccounts(pod.Namespace).
		CreateToken(ctx, account, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("token of service account %s: %w", account, err)
	}
	if t.kept == nil {
		t.kept = map[string]keptToken{}
	}
	life := time.Until(made.Status.ExpirationTimestamp.Time)
	t.kept[key] = keptToken{token: made.Status.Token, renew: time.Now().Add(life * 4 / 5)}
	return made.Status.Token, nil
}

// podObjects reads what a Pod refers to, for that Pod.
type podObjects struct {
	*Kubelet
	tokens *tokens
}

// Token returns a token of the Pod's service account, bound to the Pod.
func (o podObjects) Token(ctx context.Context, pod *corev1.Pod, audience string, seconds int64) (string, error) {
	return o.tokens.get(ctx, pod, audience, seconds)
}
