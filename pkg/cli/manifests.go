package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/resource"
)

// stdinSource is what the resource builder calls standard input.
const stdinSource = "STDIN"

// fileFlags are -f, -R and -k.
type fileFlags struct{ resource.FilenameOptions }

func (f *fileFlags) addTo(cmd *cobra.Command, usage string) {
	cmd.Flags().StringSliceVarP(&f.Filenames, "filename", "f", nil, usage)
	cmd.Flags().BoolVarP(&f.Recursive, "recursive", "R", false, "Descend into the directories of -f.")
	cmd.Flags().StringVarP(&f.Kustomize, "kustomize", "k", "", "Directory of a kustomization, instead of -f.")
	_ = cmd.MarkFlagFilename("filename", "yaml", "yml", "json")
	_ = cmd.MarkFlagDirname("kustomize")
}

func (f *fileFlags) given() bool { return len(f.Filenames) > 0 || f.Kustomize != "" }

func (f *fileFlags) validate() error {
	switch {
	case len(f.Filenames) > 0 && f.Kustomize != "":
		return usagef("-f and -k exclude each other")
	case f.Recursive && len(f.Filenames) == 0:
		return usagef("-R needs -f")
	}
	return nil
}

// manifest is an object of a file.
type manifest struct {
	*unstructured.Unstructured
	// source is the file and the number of the object in it, such as "web.yaml#2".
	source string
}

// read returns the objects of the files, in their order. An object without a namespace gets the default one, as
// kubectl apply would have it. What can't be read is an error after everything else was read.
func (f *fileFlags) read(stdin io.Reader, namespace string) ([]manifest, error) {
	builder := resource.NewLocalBuilder().Unstructured().ContinueOnError()
	options := f.FilenameOptions
	options.Filenames = nil
	for _, name := range f.Filenames {
		if name == "-" {
			builder = builder.Stream(stdin, stdinSource)
			continue
		}
		options.Filenames = append(options.Filenames, name)
	}
	if len(options.Filenames) > 0 || options.Kustomize != "" {
		builder = builder.FilenameParam(false, &options)
	}
	count := map[string]int{}
	var out []manifest
	err := builder.Flatten().Do().Visit(func(info *resource.Info, err error) error {
		if err != nil {
			return err
		}
		count[info.Source]++
		object, ok := info.Object.(*unstructured.Unstructured)
		if !ok {
			return fmt.Errorf("%s: unexpected object %T", info.Source, info.Object)
		}
		// Only namespaced kinds are read from files, so this needs no knowledge of kinds.
		if object.GetNamespace() == "" {
			object.SetNamespace(namespace)
		}
		out = append(out, manifest{Unstructured: object, source: fmt.Sprintf("%s#%d", info.Source, count[info.Source])})
		return nil
	})
	return out, err
}

func (m manifest) is(kind string) bool { return m.GetAPIVersion() == "v1" && m.GetKind() == kind }

// configMap returns the object as a ConfigMap. It fails where a value is not a string, the commonest slip of all.
func (m manifest) configMap() (*corev1.ConfigMap, error) {
	cm := &corev1.ConfigMap{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(m.Object, cm); err != nil {
		return nil, err
	}
	return cm, nil
}

func (m manifest) secret() (*corev1.Secret, error) {
	s := &corev1.Secret{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(m.Object, s); err != nil {
		return nil, fmt.Errorf("%s: not a Secret", m.source) // its own words could tell of a key
	}
	return s, nil
}

func (m manifest) service() (*corev1.Service, error) {
	svc := &corev1.Service{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(m.Object, svc); err != nil {
		return nil, fmt.Errorf("%s: %w", m.source, err)
	}
	return svc, nil
}
