// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import (
	"context"
	"errors"
)

// overlayMissing says why layers cannot be mounted here.
func overlayMissing() string { return "overlayfs is Linux's" }

func unpackLayers(context.Context, *localImage, string) (string, error) {
	return "", errors.New(overlayMissing())
}
