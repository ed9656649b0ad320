// Program container reads a Containerfile as BuildKit does, by its own parser, and prints its stages and their commands.
package main

import (
	"fmt"
	"os"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

func read(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	parsed, err := parser.Parse(file)
	if err != nil {
		return err
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		return err
	}
	for _, warning := range parsed.Warnings {
		fmt.Fprintln(os.Stderr, warning.Short)
	}
	for _, stage := range stages {
		fmt.Println("FROM", stage.BaseName, stage.Name)
		for _, command := range stage.Commands {
			fmt.Println(command.Name())
		}
	}
	return nil
}

func main() {
	if err := read(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
