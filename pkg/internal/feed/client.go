package feed

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
)

// requestTimeout bounds a single write; watches have none.
const requestTimeout = 5 * time.Second

// Namespaces are where the daemon's objects are.
type Namespaces struct {
	// Documents has the ConfigMaps, Certificates the Secrets with key material.
	Documents, Certificates string
}

// Client speaks to the API server about ConfigMaps of one namespace and Secrets of another, and nothing else: the whole
// clientset would cost the daemon memory for every kind there is.
type Client struct {
	rest       rest.Interface
	params     runtime.ParameterCodec
	namespaces Namespaces
}

// NewClient returns a client. It does not connect.
func NewClient(config *rest.Config, namespaces Namespaces) (*Client, error) {
	scheme := runtime.NewScheme()
	gv := corev1.SchemeGroupVersion
	scheme.AddKnownTypes(gv, &corev1.ConfigMap{}, &corev1.ConfigMapList{}, &corev1.Secret{}, &corev1.SecretList{})
	metav1.AddToGroupVersion(scheme, gv)
	c := rest.CopyConfig(config)
	c.GroupVersion = &gv
	c.APIPath = "/api"
	c.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	c.QPS = -1 // two objects are written; the spacing of writes is the reporter's
	client, err := rest.RESTClientFor(c)
	if err != nil {
		return nil, fmt.Errorf("client for the API server: %w", err)
	}
	return &Client{rest: client, params: runtime.NewParameterCodec(scheme), namespaces: namespaces}, nil
}
