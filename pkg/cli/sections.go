package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// A section of the help holds flags that belong together.
type section struct {
	title string
	flags []string
}

// sections are those of the commands that make load balancers. Their other flags, which most people need, come first.
func sections() []section {
	return []section{
		{"Routing Flags:", []string{
			"route", configmap.KeyPathType, configmap.KeyRewrite, configmap.KeyUpstream, configmap.KeyMethod,
			configmap.KeyAffinity, configmap.KeyShare, configmap.KeyShareWith,
		}},
		{"TLS Flags:", []string{
			"ssl", configmap.KeySSLPort, configmap.KeyTLSSecret, configmap.KeyClientCA, configmap.KeyClientAuth,
			configmap.KeyRedirect, configmap.KeyBackend, configmap.KeyBackendCA, configmap.KeyBackendName,
		}},
		{"HTTP Flags:", []string{
			configmap.KeySetRequest, configmap.KeyCutRequest, configmap.KeySetAnswer, configmap.KeyCutAnswer,
			configmap.KeyMaxBody, configmap.KeyGzip,
		}},
		{"Traffic Flags:", []string{
			configmap.KeySources, configmap.KeyProxy, configmap.KeyTrusted, configmap.KeyMaxConns, configmap.KeyMaxPerIP,
			configmap.KeyConnectTime, configmap.KeySendTime, configmap.KeyReadTime, configmap.KeyIdleTimeout,
			configmap.KeyResponses, configmap.KeyRetries, configmap.KeyAccessLog,
		}},
	}
}

// sectionAnnotation on a flag is the title of its section.
const sectionAnnotation = "kubectl-lb.io/section"

// arrange puts flags into their sections.
func arrange(flags *pflag.FlagSet, into []section) {
	for _, s := range into {
		for _, name := range s.flags {
			if f := flags.Lookup(name); f != nil {
				f.Annotations = map[string][]string{sectionAnnotation: {s.title}}
			}
		}
	}
}

// listSections describes a command's own flags, section by section.
func listSections(b *strings.Builder, cmd *cobra.Command) {
	parts := map[string]*pflag.FlagSet{}
	cmd.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
		title := "Flags:"
		if t := f.Annotations[sectionAnnotation]; len(t) == 1 {
			title = t[0]
		}
		if parts[title] == nil {
			parts[title] = pflag.NewFlagSet(title, pflag.ContinueOnError)
		}
		parts[title].AddFlag(f)
	})
	for _, s := range append([]section{{title: "Flags:"}}, sections()...) {
		if part := parts[s.title]; part != nil && part.HasAvailableFlags() {
			b.WriteString("\n" + s.title + "\n")
			listFlags(b, part)
		}
	}
}
