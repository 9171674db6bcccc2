" Ours, whatever else has claimed them; HAProxy's where vim has no syntax of its own for them.
autocmd BufNewFile,BufRead /etc/oneloop/*.cfg,oneloop*.cfg set filetype=oneloop
autocmd BufNewFile,BufRead haproxy*.cfg setfiletype oneloop
