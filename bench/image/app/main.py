# SPDX-FileCopyrightText: The flatten authors
# SPDX-License-Identifier: Apache-2.0

"""Prints the versions of what the image is made of."""

import boto3
import cv2

print("opencv", cv2.__version__)
print("boto3", boto3.__version__)
