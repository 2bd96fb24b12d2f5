#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# GHC: modules compiled side by side, a threaded program, STM, processes, files, GHCi, Template Haskell.
command -v ghc >/dev/null || { echo "ghc is missing"; exit 77; }
cat >A.hs <<'E'
{-# LANGUAGE TemplateHaskell #-}
module A where
import Language.Haskell.TH
six :: Int
six = $(litE (integerL (product [1 .. 3])))
E
printf 'module B where\nb :: Int\nb = length "four"\n' >B.hs
cat >Main.hs <<'E'
module Main (main) where
import A
import B
import Control.Concurrent
import Control.Concurrent.STM
import Control.Exception
import Control.Monad
import System.Directory
import System.Exit
import System.IO
import System.Posix.Process
import System.Posix.Signals
import System.Process
import System.Timeout
main :: IO ()
main = do
  hSetBuffering stdout LineBuffering
  print (six, b)
  n <- newTVarIO (0 :: Int)
  forM_ [1 .. 100] $ \i -> forkIO (threadDelay 1000 >> atomically (modifyTVar' n (+ i)))
  atomically (readTVar n >>= \v -> when (v /= 5050) retry)
  putStrLn "stm"
  print =<< timeout 20000 (threadDelay 10000000)
  print =<< readProcessWithExitCode "sh" ["-c", "cat; exit 3"] "in"
  m <- newEmptyMVar
  _ <- installHandler sigUSR1 (Catch (putMVar m "usr1")) Nothing
  getProcessID >>= signalProcess sigUSR1
  takeMVar m >>= putStrLn
  writeFile "f" (replicate 100000 'x') >> readFile "f" >>= print . length
  createDirectoryIfMissing True "d/e" >> renameFile "f" "d/e/f" >> listDirectory "d/e" >>= print
  r <- try (evaluate (1 `div` (0 :: Int))) :: IO (Either ArithException Int)
  print r
  c <- getNumCapabilities
  print (c, sum (map fromIntegral [1 .. 1000000 :: Int]) :: Integer)
  exitWith (ExitFailure 5)
E
ghc -v0 -j2 -O1 -threaded -rtsopts -package stm -package directory -package process -package unix -package template-haskell Main.hs -o t && ./t +RTS -N2; echo "status $?"
./t +RTS -N4 --nonmoving-gc 2>&1 | tail -1; echo 'sum [1..10]' | ghci -v0; runghc -e 'print 1' 2>/dev/null; echo 'main = interact (map succ)' >I.hs; echo abc | runghc I.hs | head -c 3; echo
