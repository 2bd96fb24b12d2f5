/* SPDX-License-Identifier: Apache-2.0 */
typedef int sbx_empty_layer; /* a layer without sources yet */
