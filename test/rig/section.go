package rig

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Section returns what a file has between the marks of the named section, "" if it has no such section.
func Section(path, name string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	_, rest, found := strings.Cut(string(text), sectionBegin(name))
	body, _, ended := strings.Cut(rest, sectionEnd(name))
	if !found {
		return "", nil
	}
	if !ended {
		return "", fmt.Errorf("%s: section %s has no end", path, name)
	}
	return strings.TrimPrefix(body, "\n"), nil
}

// WriteSection replaces the named section of a Markdown file, or adds it at the end, and leaves everything else alone.
// So programs that each write a part of one file never destroy each other's.
func WriteSection(path, name, body string) error {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	section := sectionBegin(name) + "\n" + strings.TrimSuffix(body, "\n") + "\n" + sectionEnd(name)
	before, rest, found := strings.Cut(string(text), sectionBegin(name))
	if !found {
		before = strings.TrimRight(before, "\n")
		if before != "" {
			before += "\n\n"
		}
		return os.WriteFile(path, []byte(before+section+"\n"), 0o644)
	}
	_, after, ended := strings.Cut(rest, sectionEnd(name))
	if !ended {
		return fmt.Errorf("%s: section %s has no end", path, name)
	}
	return os.WriteFile(path, []byte(before+section+after), 0o644)
}

func sectionBegin(name string) string { return "<!-- begin " + name + " -->" }
func sectionEnd(name string) string   { return "<!-- end " + name + " -->" }
