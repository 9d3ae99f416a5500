package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// console is what the user reads: headings, sentences, and commands with what they printed. A
// terminal gets bold headings and commands; a file or a pipe gets plain text.
type console struct {
	out         io.Writer
	bold, plain string
}

func newConsole(file *os.File) *console {
	c := &console{out: file}
	info, err := file.Stat()
	if err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" {
		c.bold, c.plain = "\x1b[1m", "\x1b[0m"
	}
	return c
}

func (c *console) printf(format string, args ...any) {
	_, _ = fmt.Fprintf(c.out, format, args...)
}

// heading begins a part.
func (c *console) heading(format string, args ...any) {
	c.printf("\n%s%s%s\n", c.bold, fmt.Sprintf(format, args...), c.plain)
}

// say prints one line.
func (c *console) say(format string, args ...any) {
	c.printf("  "+format+"\n", args...)
}

// command shows what the user can repeat, and what it printed.
func (c *console) command(line, output string) {
	c.printf("\n  %s$ %s%s\n%s", c.bold, line, c.plain, indent(output))
}

// Write indents what others print line by line.
func (c *console) Write(text []byte) (int, error) {
	c.printf("%s", indent(string(text)))
	return len(text), nil
}

// indent sets every line two columns in and ends the last one.
func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "" {
			b.WriteString("\n")
			continue
		}
		b.WriteString("  " + strings.TrimRight(line, "\n") + "\n")
	}
	return b.String()
}

// columns lays short texts out in rows of n, each column as wide as its widest text.
func columns(texts []string, n int) string {
	rows := (len(texts) + n - 1) / n
	widths := make([]int, n)
	for i, text := range texts {
		widths[i/rows] = max(widths[i/rows], len(text))
	}
	var b strings.Builder
	for row := range rows {
		var cells []string
		for column := 0; column*rows+row < len(texts); column++ {
			cells = append(cells, fmt.Sprintf("%-*s", widths[column], texts[column*rows+row]))
		}
		b.WriteString(strings.TrimRight(strings.Join(cells, "   "), " ") + "\n")
	}
	return b.String()
}
