#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ffmpeg and ImageMagick: pictures, sound and film made, turned into others, streamed over the loopback.
for need in ffmpeg ffprobe convert-im6.q16 identify-im6.q16; do
    command -v $need >/dev/null || { echo "$need is missing"; exit 77; }
done
f() { ffmpeg -nostdin -v error -y -threads 2 "$@"; }
f -f lavfi -i testsrc=s=320x240:r=25:d=3 -f lavfi -i sine=440:d=3 -c:v libx264 -preset veryfast -c:a aac -bitexact a.mp4
ffprobe -v error -show_entries stream=codec_name,width,nb_frames -of csv a.mp4
f -i a.mp4 -vf scale=160:-2,hflip -c:v libvpx -deadline realtime -cpu-used 8 -c:a libvorbis b.webm; ffprobe -v error -show_entries stream=codec_name -of csv b.webm
f -i a.mp4 -f framemd5 -bitexact - | md5sum; f -i a.mp4 -vf fps=2 p%02d.png; ls p*.png | wc -l; cat a.mp4 | f -i - -vn -f wav - 2>err | wc -c; cat err | head -3
f -i a.mp4 -c copy -f hls -hls_time 1 h.m3u8; ls h*.ts | wc -l
f -listen 1 -i http://127.0.0.1:18170/s -c copy got.ts & P=$!
sleep 1; f -re -i a.mp4 -t 1 -c copy -f mpegts -method POST http://127.0.0.1:18170/s; wait $P; echo "streamed $?"; ffprobe -v error -show_entries stream=codec_name -of csv got.ts | sort -u
im() { convert-im6.q16 "$@"; }
im -size 400x300 gradient:red-blue -fill white -draw 'circle 200,150 200,50' -depth 8 i.png; identify-im6.q16 -format '%w %h %m\n' i.png
im i.png -resize 50% -rotate 90 -blur 0x2 j.jpg; identify-im6.q16 -format '%w %h %m\n' j.jpg; im i.png rgb:- | md5sum; im p*.png -loop 0 an.gif; identify-im6.q16 an.gif | wc -l
im -limit memory 256KiB -limit map 256KiB -size 400x300 plasma:red-blue -resize 100x100 k.png; identify-im6.q16 -format '%w %h\n' k.png; im i.png i.tiff && im i.tiff i.webp && identify-im6.q16 -format '%m\n' i.webp
