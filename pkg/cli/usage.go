package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The help is laid out for 80 columns; descriptions of flags start at flagColumn.
const (
	helpWidth  = 80
	flagColumn = 28
)

// usage prints how a command is called. The thirty flags that every command has are left to `options`.
func (p *program) usage(cmd *cobra.Command) error {
	var b strings.Builder
	b.WriteString("Usage:\n")
	// What only has commands of its own is run for its help alone.
	if cmd.Runnable() && cmd.HasParent() && (!cmd.HasAvailableSubCommands() || strings.Contains(cmd.Use, " ")) {
		b.WriteString("  " + cmd.UseLine() + "\n")
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("  " + cmd.CommandPath() + " COMMAND\n")
	}
	if cmd.HasExample() {
		b.WriteString("\nExamples:\n" + cmd.Example + "\n")
	}
	for _, g := range cmd.Groups() {
		listCommands(&b, g.Title, cmd, func(c *cobra.Command) bool { return c.GroupID == g.ID && c.IsAvailableCommand() })
	}
	if !cmd.ContainsGroup(groupBasic) {
		listCommands(&b, "Commands:", cmd, (*cobra.Command).IsAvailableCommand)
	}
	listCommands(&b, "Topics:", cmd, (*cobra.Command).IsAdditionalHelpTopicCommand)
	if cmd.HasParent() {
		listSections(&b, cmd)
		fmt.Fprintf(&b, "\nUse \"%s options\" for the flags that every command has.\n", p.display)
	} else {
		fmt.Fprintf(&b, "\nUse \"%s COMMAND --help\" for more about a command.\n", p.display)
	}
	_, err := io.WriteString(cmd.OutOrStderr(), b.String())
	return err
}

func listCommands(b *strings.Builder, title string, cmd *cobra.Command, belongs func(*cobra.Command) bool) {
	headed := false
	for _, c := range cmd.Commands() {
		if !belongs(c) {
			continue
		}
		if !headed {
			b.WriteString("\n" + title + "\n")
			headed = true
		}
		fmt.Fprintf(b, "  %-12s %s\n", c.Name(), c.Short)
	}
}

// listFlags describes flags, each with what it takes and its default.
func listFlags(b *strings.Builder, flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		takes, text := pflag.UnquoteUsage(f)
		name := "      --" + f.Name
		if f.Shorthand != "" {
			name = "  -" + f.Shorthand + ", --" + f.Name
		}
		if takes != "" && f.Value.Type() != "bool" {
			name += " " + takes
		}
		switch f.DefValue {
		case "", "false", "[]", "0":
		default:
			text += fmt.Sprintf(" (default %s)", strings.Trim(f.DefValue, "[]"))
		}
		if len(name) > flagColumn-2 {
			b.WriteString(name + "\n")
			name = ""
		}
		for _, line := range wrapText(text, helpWidth-flagColumn) {
			fmt.Fprintf(b, "%-*s%s\n", flagColumn, name, line)
			name = ""
		}
	})
}

// hang writes a text in lines of the help's width, all of which but the first are indented by that many blanks: the
// first follows what stands there already.
func hang(b *strings.Builder, indent int, text string) {
	for i, line := range wrapText(text, helpWidth-indent) {
		if i > 0 {
			b.WriteString(strings.Repeat(" ", indent))
		}
		b.WriteString(line + "\n")
	}
}

// wrapText breaks text into lines of at most that many characters, longer words aside.
func wrapText(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// wrapParagraphs lays out a command's description; lines that are indented stay as they are.
func wrapParagraphs(text string) string {
	var out []string
	var paragraph []string
	flush := func() {
		if len(paragraph) > 0 {
			out = append(out, wrapText(strings.Join(paragraph, " "), helpWidth)...)
			paragraph = nil
		}
	}
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" || strings.HasPrefix(line, " ") {
			flush()
			out = append(out, line)
		} else {
			paragraph = append(paragraph, line)
		}
	}
	flush()
	return strings.Join(out, "\n")
}
