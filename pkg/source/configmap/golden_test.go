package configmap

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// load reads a file of one ConfigMap and any number of Services.
func load(t *testing.T, path string) (*corev1.ConfigMap, ServiceMap) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var cm corev1.ConfigMap
	var services []*corev1.Service
	for doc := range strings.SplitSeq(string(b), "\n---\n") {
		switch {
		case strings.Contains(doc, "kind: Service\n"):
			var s corev1.Service
			err = yaml.UnmarshalStrict([]byte(doc), &s)
			services = append(services, &s)
		case strings.Contains(doc, "kind: ConfigMap\n"):
			err = yaml.UnmarshalStrict([]byte(doc), &cm)
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	return &cm, MapServices(services)
}

// TestGolden reads objects as users write them into wishes.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			cm, services := load(t, file)
			w := Parse(cm, services)
			b, err := json.MarshalIndent(struct {
				LoadBalancer lb.LoadBalancer
				Address      lb.AddressWish
				Findings     []lb.Finding
			}{w.LoadBalancer, w.Address, w.Findings}, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".json", string(b)+"\n")
		})
	}
}

// TestExamples holds the examples that users start from to the reader.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../../examples/*configmap.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for doc := range strings.SplitSeq(string(text), "\n---\n") {
			var cm corev1.ConfigMap
			if err := yaml.UnmarshalStrict([]byte(doc), &cm); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if w := Parse(&cm, nil); w.Failed() || cm.Labels[LabelKey] != LabelValue {
				t.Errorf("%s: %s: %s", file, cm.Name, texts(w.Findings))
			}
		}
	}
}

// The 2016 object is served as it was.
func TestCoffee(t *testing.T) {
	for _, file := range []string{"testdata/coffee-2016.yaml", "testdata/coffee-2016-full.yaml"} {
		cm, services := load(t, file)
		w := Parse(cm, services)
		if len(w.Findings) > 0 {
			t.Fatalf("%s: %s", file, texts(w.Findings))
		}
		l := w.LoadBalancer.Listeners[0]
		if l.Port != 80 || l.Protocol != lb.TCP || l.Routes[0].Target.Endpoints[0].String() != "10.96.0.10:80" {
			t.Errorf("%s: %+v", file, l)
		}
	}
}

// Every place that the plan may point at is a key.
func TestFields(t *testing.T) {
	places := map[string]bool{}
	for _, k := range Keys() {
		places[field(k.Name)] = true
	}
	v := reflect.ValueOf(new(reading).fields())
	for i := range v.NumField() {
		if !places[v.Field(i).String()] {
			t.Errorf("%s is %q", v.Type().Field(i).Name, v.Field(i))
		}
	}
}
