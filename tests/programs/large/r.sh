#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# R: models, plots, files, forked and separate workers, sockets, a package built from source.
command -v Rscript >/dev/null || { echo "Rscript is missing"; exit 77; }
cat >t.R <<'E'
library(parallel)
print(coef(lm(mpg ~ wt, mtcars))); print(R.version$major); set.seed(1); print(sum(rnorm(1000)))
print(sum(unlist(mclapply(1:20, function(i) i^2, mc.cores = 3))))
cl <- makeCluster(2); print(sum(unlist(parLapply(cl, 1:20, function(i) i^3)))); stopCluster(cl)
pdf("p.pdf"); plot(1:10); invisible(dev.off()); print(file.size("p.pdf") > 1000)
write.csv(mtcars, gzfile("m.csv.gz")); print(dim(read.csv("m.csv.gz"))); saveRDS(iris, "i.rds"); print(identical(readRDS("i.rds"), iris))
print(system("echo from R; exit 3")); print(system2("tr", "a-z A-Z", input = "abc", stdout = TRUE))
con <- pipe("sort -r", "w"); writeLines(c("1", "3", "2"), con); close(con)
s <- serverSocket(18130); p <- mcparallel({ Sys.sleep(0.2); c <- socketConnection(port = 18130, blocking = TRUE); writeLines("hi", c); close(c); 1 })
a <- socketAccept(s, blocking = TRUE, timeout = 20); print(readLines(a, 1)); close(a); close(s); print(mccollect(p)[[1]])
print(tryCatch(file("/nonexistent/x", "r"), error = function(e) "no such", warning = function(w) "no such")); print(Sys.getpid() > 0); print(nchar(tempfile()) > 5)
print(solve(matrix(c(2, 1, 1, 3), 2))); print(Sys.time() > as.POSIXct("2020-01-01")); x <- fft(1:8); print(Mod(x)[1]); print(nrow(as.data.frame(table(sample(1:3, 100, TRUE)))))
E
Rscript --vanilla t.R 2>&1
mkdir -p pkg/R && printf 'Package: tiny\nVersion: 1.0\nTitle: T\nDescription: D.\nLicense: GPL-2\nAuthor: x\nMaintainer: x <x@x.test>\n' >pkg/DESCRIPTION && echo 'export(f)' >pkg/NAMESPACE && echo 'f <- function() "from a package"' >pkg/R/f.R
mkdir lib; R CMD INSTALL --no-docs -l lib pkg >log 2>&1; echo "install $?"; R_LIBS=lib Rscript -e 'tiny::f()'
echo 'cat(sum(1:10), "\n"); quit(status = 4)' | R --vanilla --no-echo; echo "status $?"
