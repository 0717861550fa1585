package printer

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"
)

// Flags are the output flags of a command: -o with the formats of kubectl, --template, and for tables --no-headers.
type Flags struct {
	print     *genericclioptions.PrintFlags
	table     bool
	noHeaders bool
}

// NewFlags returns the flags of a command that prints objects and words of its own.
func NewFlags() *Flags { return &Flags{print: genericclioptions.NewPrintFlags("")} }

// NewTableFlags returns the flags of a command that prints a table by default: they add -o wide and --no-headers.
func NewTableFlags() *Flags { return &Flags{print: genericclioptions.NewPrintFlags(""), table: true} }

// Formats returns the values that -o takes.
func (f *Flags) Formats() []string {
	formats := f.print.AllowedFormats()
	if f.table {
		formats = append(formats, "table", "wide")
	}
	slices.Sort(formats)
	return slices.Compact(formats)
}

// AddTo adds the flags to a command.
func (f *Flags) AddTo(cmd *cobra.Command) {
	f.print.TemplatePrinterFlags.AddFlags(cmd)
	cmd.Flags().Lookup("template").Usage = "Template, or its file, for -o go-template and its like."
	cmd.Flags().Lookup("allow-missing-template-keys").Usage = "Templates may name fields that are not there."
	cmd.Flags().StringVarP(f.print.OutputFormat, "output", "o", "",
		"Output format: "+strings.Join(f.Formats(), ", ")+".")
	SetFormats(cmd.Flags().Lookup("output"), f.Formats())
	f.print.OutputFlagSpecified = func() bool { return cmd.Flag("output").Changed }
	if f.table {
		cmd.Flags().BoolVar(&f.noHeaders, "no-headers", false, "Leave the column headers out.")
	}
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(f.Formats(), cobra.ShellCompDirectiveNoFileComp))
}

// formatsAnnotation on a flag holds the formats that it takes.
const formatsAnnotation = "kubectl-lb.io/formats"

// SetFormats notes the formats that a flag takes.
func SetFormats(f *pflag.Flag, formats []string) {
	f.Annotations = map[string][]string{formatsAnnotation: formats}
}

// Takes reports whether a flag takes a value, which may be a format with its template, such as "jsonpath={.status}". A
// flag whose formats are not noted takes everything.
func Takes(f *pflag.Flag, value string) bool {
	formats, noted := f.Annotations[formatsAnnotation]
	format, _, _ := strings.Cut(value, "=")
	return !noted || slices.Contains(formats, format)
}

// Validate reports a format that does not exist.
func (f *Flags) Validate() error {
	if f.Human() {
		return nil
	}
	_, err := f.printer()
	return err
}

// Human reports whether the output is meant for people: a table or words.
func (f *Flags) Human() bool {
	return f.format() == "" && *f.print.TemplatePrinterFlags.TemplateArgument == "" || f.Wide()
}

// Wide reports -o wide.
func (f *Flags) Wide() bool { return f.table && f.format() == "wide" }

// Name reports -o name.
func (f *Flags) Name() bool { return f.format() == "name" }

// NoHeaders reports --no-headers.
func (f *Flags) NoHeaders() bool { return f.noHeaders }

// Print writes an object in the format that -o names. The object carries its apiVersion and kind.
func (f *Flags) Print(w io.Writer, obj runtime.Object) error {
	p, err := f.printer()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := p.PrintObj(obj, &b); err != nil {
		return err
	}
	text := b.String()
	if strings.HasSuffix(f.format(), "json") {
		text = escapeJSON(text)
	}
	_, err = io.WriteString(w, text)
	return err
}

// escapeJSON writes what could steer a terminal as JSON escapes. Outside of strings JSON has no such characters.
func escapeJSON(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r != '\n' && r != utf8.RuneError && unsafe(r) {
			for _, u := range utf16.AppendRune(nil, r) {
				fmt.Fprintf(&b, `\u%04x`, u)
			}
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// format returns what -o says; "table" is the default by its name.
func (f *Flags) format() string {
	if f.table && *f.print.OutputFormat == "table" {
		return ""
	}
	return *f.print.OutputFormat
}

func (f *Flags) printer() (printers.ResourcePrinter, error) {
	p, err := f.print.ToPrinter()
	if genericclioptions.IsNoCompatiblePrinterError(err) {
		return nil, fmt.Errorf("-o %q is not a format; it is one of: %s", f.format(), strings.Join(f.Formats(), ", "))
	}
	return p, err
}

// PrintYAML writes an object as YAML, whatever -o says.
func (f *Flags) PrintYAML(w io.Writer, obj runtime.Object) error {
	return (&printers.OmitManagedFieldsPrinter{Delegate: &printers.YAMLPrinter{}}).PrintObj(obj, w)
}
